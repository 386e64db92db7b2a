"""`km0 init compose`: what docker-compose.yml needs beside itself: secrets, certificates, folders, a plant file.

Invariants:
- No password, key or token is anybody's but this installation's; none is printed, and each file is its owner's alone.
- What is there stays: running it again makes what is missing, and certificates anew before they expire.
"""

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from km0.console import out
from km0.init_influxdb import Step, token_file
from km0.plantfile import sample_file
from telemetry.errors import ConfigError

UNPRIVILEGED: Final = 10001
"""The user and group that everything runs as when root prepares it."""

PASSWORDS: Final = (
    "mqtt-collectors-password",
    "mqtt-machines-password",
    "mqtt-health-password",
    "influxdb-operator-password",
    "grafana-admin-password",
)
FOLDERS: Final = ("mosquitto", "influxdb", "grafana", "spool", "health", "web")

BROKER_USERS: Final = {
    "km0-collectors": "mqtt-collectors-password",
    "km0-machines": "mqtt-machines-password",
    "km0-health": "mqtt-health-password",
}
ACL: Final = """\
# Who may do what at the broker. `km0 init compose` wrote it once and leaves it alone: add your machines.
user km0-collectors
topic read #
# a Sparkplug host asks for births, and says that it is there
topic write spBv1.0/+/NCMD/+
topic write spBv1.0/STATE/+

user km0-machines
topic write km0/#
topic write printers/#

user km0-health
topic read $SYS/broker/uptime
"""

_CHANGES: Final = {
    (
        'host = "127.0.0.1"\nport = 1883\n'
        '# password = { env = "KM0_MQTT_PASSWORD" }  # secrets are named, never written\n'
    ): (
        'host = "mosquitto"\nport = 8883\nusername = "km0-collectors"\n'
        'password = { file = "/run/secrets/mqtt-password" } # secrets are named, never written\n'
        'tls = { ca = "/run/secrets/mqtt-ca.pem" }\n'
    ),
    'path = "spool.sqlite"': 'path = "/var/lib/km0/spool.sqlite"',
    'kind = "duckdb"\npath = "km0.duckdb"\n': (
        'kind = "influxdb"\nurl = "http://influxdb:8086"\n'
        "token_in_clear = true # in a network that only these containers are in\n"
        'token = { file = "/run/secrets/influxdb-token" } # each part has one of its own there\n'
        "keep_days = 0 # how long samples are kept [days]; 0: for ever. `docker compose up` tells InfluxDB\n"
        "keep_kpis_days = 0 # the same of KPI values\n\n"
        '[health]\nfolder = "/run/km0" # each part says there how it is\n'
    ),
    'host = "127.0.0.1" # only this machine; there is no login yet\n': (
        'host = "0.0.0.0" # inside the container; docker-compose.yml publishes it on this machine only\n'
        'folder = "/var/lib/km0-web"\n'
        "accounts = {} # people log in; the first one by a link in `docker compose logs web`\n"
    ),
}
"""From the demonstrator's plant file to that of compose."""


def init_compose(
    folder: Annotated[Path, typer.Argument(help="The folder of docker-compose.yml.")] = Path(),
    name: Annotated[
        list[str] | None,
        typer.Option(help="A name or address by which machines reach the broker; may be given several times."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Make secrets, certificates, folders and the plant file that docker-compose.yml needs. Safe to run again."""
    done = 0
    try:
        for step in steps(folder, name or []):
            out.print(("would " if dry_run else "") + step.words, markup=False)
            if not dry_run:
                step.do()
            done += 1
    except OSError as error:
        raise ConfigError(
            f"{error.filename or folder}: {error.strerror}; choose a folder that you may write to"
        ) from error
    out.print("nothing to do: all is there" if not done else f"{done} steps {'to do' if dry_run else 'done'}")


def steps(folder: Path, names: list[str]) -> Iterator[Step]:
    """What is missing, found out one after the other. Raises ConfigError."""
    from km0.certificates import authority_is_needed, make_authority, make_server, server_is_needed

    made = _Made(folder)
    kept = folder / "secrets"
    for path in (kept, folder / "state", *(folder / "state" / one for one in FOLDERS)):
        if not path.is_dir():
            yield Step(f"make the folder {path}", lambda path=path: made.folder(path))  # type: ignore[misc]  # bound now
    for one in PASSWORDS:
        yield from made.missing(kept / one, lambda: secrets.token_urlsafe(24) + "\n")
    yield from made.missing(kept / "influxdb-operator-token", lambda: secrets.token_urlsafe(48) + "\n")
    for role in ("writer", "pipeline", "reader"):
        yield from made.missing(token_file(kept, role), lambda: "", "for `km0 init influxdb` to fill in")
    yield from made.missing(kept / "mosquitto-acl", lambda: ACL)
    if not _passwords_match(kept):
        yield Step(
            f"write {kept / 'mosquitto-passwords'}: salted hashes of the passwords",
            lambda: made.file(kept / "mosquitto-passwords", _password_file(kept)),
        )
    key, ca = kept / "mqtt-ca.key", kept / "mqtt-ca.pem"
    if authority_is_needed(key, ca):
        yield Step(f"make an authority for certificates: {ca}", lambda: made.files(make_authority(), key, ca))
    server = kept / "mqtt-server.key", kept / "mqtt-server.pem"
    if wanted := server_is_needed(server[1], ca, ["mosquitto", "localhost", "127.0.0.1", *names]):
        yield Step(
            f"make the broker's certificate for {', '.join(wanted)}: {server[1]}",
            lambda: made.files(make_server(key, ca, wanted), *server),
        )
    yield from made.environment(folder / ".env")
    yield from made.missing(folder / "plant-compose.toml", plant, "the demonstrator's; edit it", mode=0o644)


def plant() -> str:
    """The demonstrator's plant file, with the addresses and secrets of docker-compose.yml."""
    text = sample_file().read_text(encoding="utf-8")
    for old, new in _CHANGES.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    begin = text.index("[plant]")
    return (
        "# The plant of docker-compose.yml: edit it, then `docker compose up -d`. Written by `km0 init compose`.\n\n"
        + text[begin:]
    )


class _Made:
    """Makes files and folders that belong to whom the containers run as: whoever runs this, or nobody for root."""

    def __init__(self, folder: Path) -> None:
        self._root = os.geteuid() == 0
        self.user = UNPRIVILEGED if self._root else os.geteuid()
        self.group = UNPRIVILEGED if self._root else os.getegid()
        if not folder.is_dir():
            raise ConfigError(f"{folder}: no such folder; name the one of docker-compose.yml")

    def folder(self, path: Path) -> None:
        path.mkdir(mode=0o700)
        self._give(path)

    def missing(self, path: Path, text: Callable[[], str], words: str = "", *, mode: int = 0o600) -> Iterator[Step]:
        if not path.exists():
            yield Step(f"write {path}{words and ': ' + words}", lambda: self.file(path, text(), mode))

    def file(self, path: Path, text: str | bytes, mode: int = 0o600) -> None:
        """Whole or not at all, and never readable by others in between."""
        fresh = path.with_name(f".{path.name}.new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as target:
            target.write(text.encode() if isinstance(text, str) else text)
        self._give(fresh)
        fresh.replace(path)

    def files(self, texts: tuple[bytes, bytes], *paths: Path) -> None:
        for text, path in zip(texts, paths, strict=True):
            self.file(path, text)

    def environment(self, path: Path) -> Iterator[Step]:
        """.env: what is there stays, what is missing is added."""
        held = path.read_text(encoding="utf-8") if path.exists() else ""
        names = {line.partition("=")[0].strip() for line in held.splitlines()}
        wanted = {"KM0_UID": self.user, "KM0_GID": self.group}
        added = [f"{name}={value}\n" for name, value in wanted.items() if name not in names]
        if added:
            lead = held + "\n" * (bool(held) and not held.endswith("\n"))
            yield Step(f"write {path}: who runs it", lambda: self.file(path, lead + "".join(added)))

    def _give(self, path: Path) -> None:
        if self._root:
            os.chown(path, self.user, self.group)


def _password_file(kept: Path) -> str:
    return "".join(f"{user}:{_hash(_password(kept / file))}\n" for user, file in BROKER_USERS.items())


def _passwords_match(kept: Path) -> bool:
    try:
        lines = (kept / "mosquitto-passwords").read_text(encoding="ascii").splitlines()
        held = dict(line.split(":", 1) for line in lines)
        return held.keys() >= BROKER_USERS.keys() and all(
            hmac.compare_digest(_hash(_password(kept / file), held[user].split("$")[3]), held[user])
            for user, file in BROKER_USERS.items()
        )
    except (OSError, ValueError, IndexError):
        return False


def _password(path: Path) -> str:
    return path.read_text(encoding="ascii").removesuffix("\n")


def _hash(password: str, salt: str = "") -> str:
    """As mosquitto_passwd writes it: PBKDF2 of SHA-512, 101 rounds. Enough, for the passwords are 192 random bits."""
    salted = base64.b64decode(salt) if salt else secrets.token_bytes(12)
    found = hashlib.pbkdf2_hmac("sha512", password.encode(), salted, 101)
    return f"$7$101${base64.b64encode(salted).decode()}${base64.b64encode(found).decode()}"
