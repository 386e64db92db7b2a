"""The tables of the book of accounts (SQLite)."""

from typing import Final

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS organisations (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, owns_plant INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, password TEXT);
CREATE TABLE IF NOT EXISTS members (
    user INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    organisation INTEGER NOT NULL REFERENCES organisations ON DELETE CASCADE,
    role INTEGER NOT NULL,
    PRIMARY KEY (user, organisation));
CREATE TABLE IF NOT EXISTS sessions (
    sum BLOB PRIMARY KEY, user INTEGER NOT NULL, organisation INTEGER NOT NULL, csrf TEXT NOT NULL,
    until_ns INTEGER NOT NULL,
    FOREIGN KEY (user, organisation) REFERENCES members (user, organisation) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS tokens (
    id INTEGER PRIMARY KEY, sum BLOB NOT NULL UNIQUE, user INTEGER NOT NULL, organisation INTEGER NOT NULL,
    name TEXT NOT NULL, scopes TEXT NOT NULL, made_ns INTEGER NOT NULL,
    FOREIGN KEY (user, organisation) REFERENCES members (user, organisation) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS logins (
    issuer TEXT NOT NULL, subject TEXT NOT NULL, user INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    PRIMARY KEY (issuer, subject));
CREATE TABLE IF NOT EXISTS links (
    sum BLOB PRIMARY KEY, user INTEGER NOT NULL REFERENCES users ON DELETE CASCADE, until_ns INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS log (
    id INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, organisation INTEGER, who TEXT NOT NULL, what TEXT NOT NULL,
    detail TEXT NOT NULL);
"""

READY: Final = "(password IS NOT NULL OR EXISTS (SELECT 1 FROM logins WHERE logins.user = users.id))"
"""Whether a row of `users` is of a person who can come in."""
