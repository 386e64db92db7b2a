"""Services of a compose file without a container engine: each in namespaces of its own, as root makes them on Linux.

A service sees what its container would: a root file system that cannot be written, its volumes, secrets and tmpfs at
their places and nothing else of this project's, its environment, no capability, no new privilege. All services share
one network, in which each service's name is 127.0.0.1 and nobody else is. What stands in for the image is this
machine's programs and this checkout, read-only. One thing differs: memory is not limited.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import missing

REPOSITORY = Path(__file__).parents[2]

Service = dict[str, Any]

_ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")


def compose_file(folder: Path) -> dict[str, Any]:
    """docker-compose.yml as compose reads it beside an .env: `${NAME}`, `${NAME:-else}`, `${NAME:?needed}`, `$$`."""
    settings = dict(
        line.split("=", 1) for line in (folder / ".env").read_text().splitlines() if "=" in line and line[0] != "#"
    )
    told: dict[str, Any] = _interpolated(yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text()), settings)
    return told


def _interpolated(part: Any, settings: dict[str, str]) -> Any:
    if isinstance(part, dict):
        return {key: _interpolated(value, settings) for key, value in part.items()}
    if isinstance(part, list):
        return [_interpolated(value, settings) for value in part]
    if not isinstance(part, str):
        return part
    text, rest = "", part
    while "$" in rest:
        before, _, rest = rest.partition("$")
        text += before
        if rest.startswith("$"):
            text, rest = text + "$", rest[1:]
            continue
        assert rest.startswith("{"), part
        inside, _, rest = rest[1:].partition("}")
        name, _, other = inside.partition(":")
        value = settings.get(name)
        if not value:
            assert other.startswith("-"), f"{name} is needed by {part!r}"
            value = other[1:]
        text += value
    return text + rest


class Pod:
    """A network of its own. `start` services in it, `run` a program to its end in it."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.folder = folder
        self._number = 0
        hosts = folder / "hosts"
        hosts.write_text(f"127.0.0.1 localhost {' '.join(names)}\n")
        script = f"ip link set lo up && mount --bind {shlex.quote(str(hosts))} /etc/hosts && echo up && exec sleep 900"
        self._holder = subprocess.Popen(
            [*_ENDS_WITH_US, "unshare", "--net", "--mount", "sh", "-c", script],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"up\n":
            assert self._holder.stderr is not None
            missing(f"no namespaces can be made here: {self._holder.stderr.read().decode()}")
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def _entered(self) -> list[str]:
        return ["nsenter", "--net", "--mount", "--target", str(self._holder.pid), "--"]

    def run(self, command: list[str], **more: Any) -> "subprocess.CompletedProcess[str]":
        """A program of this machine, in the pod's network."""
        return subprocess.run(
            [*self._entered, *command], check=False, capture_output=True, text=True, timeout=60, **more
        )

    def host(self, command: list[str], log: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        """Start a program of this machine in the pod's network, outside any container."""
        with log.open("ab") as target:
            process = subprocess.Popen(
                [*_ENDS_WITH_US, *self._entered, *command], env=environment, stdout=target, stderr=target
            )
        self.running[f"host {len(self.running)}"] = process
        return process

    def start(self, name: str, service: Service, entry: list[str], files: dict[str, Path]) -> "subprocess.Popen[bytes]":
        """Start a service; its words go to NAME.log. `entry` is what the image starts, `files` its secrets by name."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                self.command(service, [*entry, *service["command"]], files), stdout=log, stderr=log
            )
        self.running[name] = process
        return process

    def healthy(self, service: Service, files: dict[str, Path]) -> bool:
        """What the service's own health check says."""
        kind, *test = service["healthcheck"]["test"]
        command = ["sh", "-c", *test] if kind == "CMD-SHELL" else test
        done = subprocess.run(self.command(service, command, files), check=False, capture_output=True, timeout=30)
        return done.returncode == 0

    def command(self, service: Service, program: list[str], files: dict[str, Path]) -> list[str]:
        """What runs `program` as the service's container would."""
        self._number += 1
        root = self.folder / f"root-{self._number}"
        root.mkdir()
        variables = {"PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp"}  # noqa: S108  # inside
        variables |= {"PYTHONDONTWRITEBYTECODE": "1", **service.get("environment", {})}
        lines = [
            "umask 022",
            *_root(root, service),
            *_volumes(root, service, self.folder),
            *_secrets(root, service, files),
        ]
        lines.append(f"mount -o remount,bind,ro {root}" if service["read_only"] else ":")
        inside = " ".join(map(shlex.quote, program))
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        environment = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
        user, group = service["user"].split(":")
        where = "/var/lib/km0" if any(":/var/lib/km0" in one for one in service.get("volumes", [])) else "/"
        lines.append(
            f"exec env -i {environment} chroot {root} setpriv --reuid {user} --regid {group} --clear-groups "
            "--bounding-set=-all --inh-caps=-all --no-new-privs --pdeathsig KILL "
            f"sh -c {shlex.quote(f'cd {where} && exec {inside}')}"
        )
        script = self.folder / f"start-{self._number}.sh"
        script.write_text("\n".join(["set -eu", *lines]) + "\n")
        return [*self._entered, "unshare", "--mount", "sh", str(script)]

    def stop(self, name: str) -> int:
        """End a service as an engine does, with SIGTERM; its exit code."""
        process = self.running.pop(name)
        process.terminate()
        try:
            return process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def close(self) -> None:
        for process in self.running.values():
            process.kill()
        for process in [*self.running.values(), self._holder]:
            process.kill()
            process.wait()
        assert self._holder.stdout is not None
        assert self._holder.stderr is not None
        self._holder.stdout.close()
        self._holder.stderr.close()


@contextmanager
def pod(folder: Path, names: list[str]) -> Iterator[Pod]:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("namespaces are made by root on Linux")
    made = Pod(folder, names)
    try:
        yield made
    finally:
        made.close()


def _root(root: Path, service: Service) -> list[str]:
    """An empty root that holds this machine's programs, its Python and this checkout, none of them to be written."""
    lines = [f"mount -t tmpfs -o mode=755 none {root}", f"mkdir {root}/etc {root}/run {root}/var {root}/tmp"]  # noqa: S108  # inside
    for place in service.get("tmpfs", []):  # before the checkout, which may lie below one
        path, _, options = place.partition(":")
        lines += [f"mkdir -p {root}{path}", f"mount -t tmpfs -o {options} none {root}{path}"]
    shown = [Path(top) for top in ("/bin", "/lib", "/lib64", "/sbin", "/usr") if Path(top).exists()]
    shown += [Path(sys.base_prefix), REPOSITORY]
    for shown_at in shown:
        if shown_at.is_symlink():
            lines.append(f"ln -s {shown_at.readlink()} {root}{shown_at}")
        else:
            lines += [
                f"mkdir -p {root}{shown_at}",
                f"mount --bind {shown_at} {root}{shown_at}",
                f"mount -o remount,bind,ro {root}{shown_at}",
            ]
    kept = (
        "passwd",
        "group",
        "hosts",
        "nsswitch.conf",
        "ld.so.cache",
        "ld.so.conf",
        "alternatives",
        "ssl",
        "localtime",
    )
    lines += [f"cp -aL /etc/{name} {root}/etc/ 2>/dev/null || true" for name in kept]
    for top in ("/proc", "/dev"):
        lines += [f"mkdir {root}{top}", f"mount --rbind {top} {root}{top}"]
    return lines


def _volumes(root: Path, service: Service, folder: Path) -> list[str]:
    lines = []
    for volume in service.get("volumes", []):
        source, target, *mode = volume.split(":")
        held = folder / source if (folder / source).exists() else REPOSITORY / source
        lines += [*_bound(held.resolve(), root, target)]
        if mode == ["ro"]:
            lines.append(f"mount -o remount,bind,ro {root}{target}")
    return lines


def _secrets(root: Path, service: Service, files: dict[str, Path]) -> list[str]:
    lines = []
    for secret in service.get("secrets", []):
        given = secret if isinstance(secret, dict) else {"source": secret, "target": secret}
        target = f"/run/secrets/{given['target']}"
        lines += [*_bound(files[given["source"]], root, target), f"mount -o remount,bind,ro {root}{target}"]
    return lines


def _bound(source: Path, root: Path, target: str) -> list[str]:
    made = (
        f"mkdir -p {root}{target}" if source.is_dir() else f"mkdir -p {root}{Path(target).parent}; : > {root}{target}"
    )
    return [made, f"mount --bind {source} {root}{target}"]


def asked(pod: Pod, url: str, cookie: str = "") -> Any:
    """What a service answers, as JSON, asked from inside the pod's network; None while it does not answer."""
    found = fetched(pod, url, cookie)
    return None if found is None else json.loads(found[0])


def fetched(pod: Pod, url: str, cookie: str = "", form: str | None = None) -> tuple[str, str] | None:
    """The body of an answer and its Set-Cookie; None when there is none, or a status of 400 and more."""
    program = (
        "import json, urllib.request as u\n"
        "class Stay(u.HTTPRedirectHandler):\n"
        "    def http_error_303(self, request, answer, *_): return answer\n"
        f"request = u.Request({url!r}, {None if form is None else form.encode()!r}, {{'Cookie': {cookie!r}}})\n"
        "answer = u.build_opener(Stay).open(request, timeout=10)\n"
        "print(json.dumps([answer.read().decode(), answer.headers.get('Set-Cookie') or '']))"
    )
    done = pod.run([sys.executable, "-c", program])
    return tuple(json.loads(done.stdout)) if done.returncode == 0 else None
