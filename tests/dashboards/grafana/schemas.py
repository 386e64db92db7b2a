"""JSON Schemas of a dashboard as three major versions of Grafana define it, made from their own TypeScript types.

@grafana/schema and the generator come from npm into tests/foreign/grafana-schema; a schema is made once (5 s) and kept
beside them until the package file changes.
"""

import fcntl
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.support import npm_installed, require_program

FOLDER: Final = Path(__file__).parents[2] / "foreign" / "grafana-schema"
MAJORS: Final = (11, 12, 13)


def schema(major: int) -> dict[str, Any]:
    """The JSON Schema of `Dashboard` in that version."""
    modules = npm_installed(FOLDER)
    with (FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = hashlib.sha256((FOLDER / "package.json").read_bytes()).hexdigest()[:12]
        made = modules / f".km0-dashboard-{major}-{wanted}.json"
        if not made.exists():
            _make(modules, major, made)
        found: dict[str, Any] = json.loads(made.read_text())
        # The types know the target of Grafana's own annotations alone, and say so ("TODO: this should just be a normal
        # query target"); what a data source adds to it is not theirs to judge.
        found["definitions"]["AnnotationTarget"]["additionalProperties"] = True
        return found


def _make(modules: Path, major: int, made: Path) -> None:
    types = sorted((modules / f"grafana-schema-{major}" / "dist").glob("**/raw/dashboard/x/*types.gen.d.ts"))
    assert types, f"@grafana/schema {major} has no dashboard types where they were"
    command = [
        require_program("node", "nodejs"), str(modules / "ts-json-schema-generator/bin/ts-json-schema-generator.js"),
        "--path", str(types[0]), "--type", "Dashboard", "--no-type-check", "--out", str(made),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
