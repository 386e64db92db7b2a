"""`km0 init influxdb`: make what the plant's [store] names, with a token for each purpose and no more rights than that.

Running it again changes only what is missing or different. On 2.x: organisation, buckets with their retention, the
mapping that lets InfluxQL find them, tokens. On 1.x: databases, retention, users. 3.x makes databases at first write.
"""

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from km0.console import out
from km0.plantfile import PlantFile
from pipeline.stores import InfluxDbConfig
from pipeline.stores.influxdb_config import IN_CLEAR
from telemetry.config import Secret, load
from telemetry.errors import ConfigError, StoreError

JOURNAL_DAYS: Final = 7


class Role(StrEnum):
    """Who has a token."""

    WRITER = "writer"
    READER = "reader"
    PIPELINE = "pipeline"
    PLATFORM = "platform"


ROLES: Final[dict[Role, dict[str, str]]] = {
    # A writer reads too: which number the journal has reached, and which fields there are.
    Role.WRITER: {"bucket": "rw", "journal_bucket": "rw"},
    Role.READER: {"bucket": "r", "kpi_bucket": "r"},
    Role.PIPELINE: {"bucket": "r", "journal_bucket": "r", "kpi_bucket": "rw"},
    Role.PLATFORM: {"bucket": "rw", "journal_bucket": "rw", "kpi_bucket": "rw"},
}
"""What each may: `--only=collectors`, Grafana and `--only=web`, `--only=pipeline`, and `km0 run`, which does all."""


@dataclass(frozen=True)
class Step:
    """Something that is missing or different, in words, and how to put it right."""

    words: str
    do: Callable[[], None]


def init_influxdb(
    file: Annotated[Path, typer.Argument(help="The plant file; its [store] says which names to use.")] = Path(
        "plant.toml"
    ),
    operator: Annotated[
        str, typer.Option(help='Environment variable with the operator\'s token (on 1.x "user:password"), if any.')
    ] = "KM0_INFLUXDB_OPERATOR_TOKEN",
    operator_file: Annotated[Path | None, typer.Option(help="File with that token, instead of a variable.")] = None,
    role: Annotated[
        list[Role] | None, typer.Option(help="Make the token of this role; several times for several. Else of all.")
    ] = None,
    tokens: Annotated[Path, typer.Option(help="Folder for the tokens that are made, a file each.")] = Path("secrets"),
    keep_days: Annotated[
        int | None,
        typer.Option(min=0, help="How long samples are kept [days]; 0: for ever. Else as [store] keep_days says."),
    ] = None,
    keep_kpis_days: Annotated[
        int | None,
        typer.Option(
            min=0, help="How long KPI values are kept [days]; 0: for ever. Else as [store] keep_kpis_days says."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Make buckets, retention and least-privilege tokens in InfluxDB for a plant. Safe to run again."""
    config = load(file, PlantFile).store
    if not isinstance(config, InfluxDbConfig):
        raise ConfigError(f'{file}: [store] is not InfluxDB; write: [store] kind = "influxdb", url = "http://…:8086"')
    days = {
        "bucket": config.keep_days if keep_days is None else keep_days,
        "kpi_bucket": config.keep_kpis_days if keep_kpis_days is None else keep_kpis_days,
        "journal_bucket": JOURNAL_DAYS,
    }
    known = Secret(env=operator) if os.environ.get(operator) else None
    if operator_file is not None:
        known = Secret(file=operator_file)
    if known is not None and config.bare:
        raise ConfigError(f"{file}: [store] url = {config.url!r}: {IN_CLEAR}")
    done = 0
    for step in steps(config, known, tokens, days, role or list(Role)):
        out.print(("would " if dry_run else "") + step.words, markup=False)
        if not dry_run:
            step.do()
        done += 1
    out.print("nothing to do: all is there" if not done else f"{done} steps {'to do' if dry_run else 'done'}")


def steps(
    config: InfluxDbConfig,
    operator: Secret | None,
    tokens: Path,
    days: dict[str, int],
    roles: Sequence[Role] = tuple(Role),
) -> Iterator[Step]:
    """What is missing or different, found out one after the other, with the operator's token.

    Raises ConfigError, StoreError.
    """
    from pipeline.stores.influxdb_server import InfluxServer

    server = InfluxServer(config.model_copy(update={"token": operator}))
    try:
        version = server.version
        if version.major == 1:
            yield from Databases(server, config, tokens, roles).steps(days)
        elif version.major == 2:
            if operator is None:
                raise ConfigError(
                    "the operator's token is needed, which `influx setup` or the first start gave: set "
                    "KM0_INFLUXDB_OPERATOR_TOKEN to it, or name its file with --operator-file"
                )
            from km0.init_influxdb2 import Buckets

            yield from Buckets(config, operator.read(), tokens, roles).steps(days)
        else:
            raise ConfigError(
                f"InfluxDB {version.major} makes databases at the first write; make its tokens with "
                "`influxdb3 create token` and name one in [store] token"
            )
    finally:
        server.close()


def token_file(tokens: Path, role: str) -> Path:
    return tokens / f"influxdb-{role}-token"


def keep_token(tokens: Path, role: str, token: str) -> None:
    """Write a token where only its owner can read it. A file that waits for it stays that file: it is mounted."""
    tokens.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(token_file(tokens, role), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as target:
        os.fchmod(descriptor, 0o600)
        target.write(token + "\n")


def held_token(tokens: Path, role: str) -> str:
    """What the file of a role holds; "" when there is none yet. Raises ConfigError."""
    path = token_file(tokens, role)
    try:
        return path.read_text(encoding="utf-8").strip() if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); delete it, and a token is made anew") from error


class Databases:
    """1.x: a bucket is a database, or "database/retention policy"; a token is "user:password"."""

    def __init__(self, server: Any, config: InfluxDbConfig, tokens: Path, roles: Sequence[Role]) -> None:
        self._server = server
        self._roles = roles
        self._config = config
        self._tokens = tokens

    def steps(self, days: dict[str, int]) -> Iterator[Step]:
        held = {row[0] for row in self._rows("SHOW DATABASES")}
        for bucket, kept in days.items():
            database, _, policy = getattr(self._config, bucket).partition("/")
            if database not in held:
                held.add(database)
                yield self._step(f"make the database {database}", f"CREATE DATABASE {_name(database)}")
            yield from self._retention(database, policy or "autogen", kept)
        users = {row[0] for row in self._rows("SHOW USERS")}
        for role in self._roles:
            if f"km0_{role}" not in users or not held_token(self._tokens, role):
                yield self._user(role, known=f"km0_{role}" in users)
            yield from self._grants(role, ROLES[role])

    def _retention(self, database: str, policy: str, days: int) -> Iterator[Step]:
        wanted_h = days * 24
        try:
            found = {row[0]: row[1] for row in self._rows(f"SHOW RETENTION POLICIES ON {_name(database)}")}
        except StoreError:
            found = {"autogen": "0s"}  # in a dry run the database is not there yet
        for_days = f"{days} days" if days else "for ever"
        length = f"{wanted_h}h" if days else "INF"
        if policy not in found:
            yield self._step(
                f"make the retention policy {policy} of {database}: {for_days}",
                f"CREATE RETENTION POLICY {_name(policy)} ON {_name(database)} DURATION {length} REPLICATION 1 DEFAULT",
            )
        elif found[policy].removesuffix("m0s").partition("h")[0] != (str(wanted_h) if days else "0s"):
            yield self._step(
                f"keep what is in {database} {for_days}",
                f"ALTER RETENTION POLICY {_name(policy)} ON {_name(database)} DURATION {length}"
                + (" SHARD DURATION 24h" if 0 < days < 7 else ""),  # a shard must not be longer than what is kept
            )

    def _user(self, role: str, *, known: bool) -> Step:
        password = secrets.token_urlsafe(24)

        def do() -> None:
            name, literal = _name(f"km0_{role}"), f"'{password}'"
            self._server.execute(
                f"SET PASSWORD FOR {name} = {literal}" if known else f"CREATE USER {name} WITH PASSWORD {literal}"
            )
            keep_token(self._tokens, role, f"km0_{role}:{password}")

        verb = "give a new password to" if known else "make"
        return Step(f"{verb} the user km0_{role} and write {token_file(self._tokens, role)}", do)

    def _grants(self, role: str, rights: dict[str, str]) -> Iterator[Step]:
        try:
            held = {row[0]: row[1] for row in self._rows(f"SHOW GRANTS FOR {_name(f'km0_{role}')}")}
        except StoreError:
            held = {}
        for bucket, right in rights.items():
            database = getattr(self._config, bucket).partition("/")[0]
            wanted = "ALL PRIVILEGES" if right == "rw" else "READ"
            if held.get(database) != wanted:
                yield self._step(
                    f"let km0_{role} {'read and write' if right == 'rw' else 'read'} {database}",
                    f"GRANT {wanted.split()[0]} ON {_name(database)} TO {_name(f'km0_{role}')}",
                )

    def _step(self, words: str, statement: str) -> Step:
        return Step(words, lambda: self._server.execute(statement))

    def _rows(self, statement: str) -> list[list[Any]]:
        [found] = self._server.ask("", [statement])
        return [row for series in found for row in series.get("values", ())]


def _name(text: str) -> str:
    from pipeline.stores.influxdb_schema import name

    return name(text)
