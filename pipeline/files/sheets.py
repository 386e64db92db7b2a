"""A sheet of a workbook, read by a process of its own that may take so much memory and no more.

What a workbook unpacks to says nothing of what it takes: five kilobytes with one cell in the last corner of a sheet are
17 thousand million cells, and a text that is stored once may stand in every one of a million. The library that reads
sheets ends its process when memory does; the collectors and the web app live in ours.
"""

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipeline.files.guard import RefusedFileError
from pipeline.said import Said

if TYPE_CHECKING:
    from polars import DataFrame

MEMORY_BYTES: Final = 4 << 30
"""Address space of the process that reads [bytes]: a sheet of a million rows of thirty columns takes some three."""
LARGEST_BYTES: Final = 1 << 30
"""Largest sheet that is handed over [bytes]."""
WITHIN_S: Final = 600.0
MOST_COLUMNS: Final = 2_000


@dataclass(frozen=True)
class Sheet:
    """Its cells as text, without a header; its name, and the names of all sheets."""

    frame: "DataFrame"
    name: str
    names: tuple[str, ...]


def read(path: Path, wanted: str | None, *, memory: int = MEMORY_BYTES) -> Sheet:
    """The sheet of that name, or the first with rows. Raises DecodeError when there is none, or it takes too much."""
    import polars as pl

    command = [sys.executable, "-I", "-m", "pipeline.files.sheets", str(path.absolute()), str(memory)]
    command += [] if wanted is None else [wanted]
    # one thread: each takes address space, and a sheet is read by one
    environment = os.environ | {"POLARS_MAX_THREADS": "1", "RUST_BACKTRACE": "0"}
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=WITHIN_S, env=environment)
    except subprocess.TimeoutExpired:
        raise RefusedFileError(Said(
            f"its sheet is not read after {WITHIN_S:.0f} s: save the table as CSV",
            f"sa feuille n'est pas lue après {WITHIN_S:.0f} s : enregistrez le tableau en CSV",
        )) from None  # fmt: skip
    head, _, cells = done.stdout.partition(b"\n")
    if done.returncode == 1:
        raise RuntimeError(done.stderr.decode(errors="replace").rstrip().rpartition("\n")[2])
    if done.returncode:
        raise RefusedFileError(Said(
            f"its sheet takes more than {memory >> 20} MB of memory: a cell far from the table, or a text repeated in "
            "all of them, does that; copy the table to a new workbook, or save it as CSV",
            f"sa feuille demande plus de {memory >> 20} Mo de mémoire, à cause d'une cellule loin du tableau ou d'un "
            "texte répété partout : copiez le tableau dans un nouveau classeur, ou enregistrez-le en CSV",
        ))  # fmt: skip
    said: dict[str, Any] = json.loads(head)
    if "fault" in said:
        raise RefusedFileError(Said(**said["fault"]))
    return Sheet(pl.read_ipc_stream(io.BytesIO(cells)), said["name"], tuple(said["names"]))


def _found(path: Path, wanted: str | None) -> Sheet:
    import fastexcel
    import polars as pl

    book = fastexcel.read_excel(path)
    if wanted is not None and wanted not in book.sheet_names:
        there = ", ".join(book.sheet_names)
        raise RefusedFileError(Said(
            f"there is no sheet {wanted!r}; there are {there}", f"il n'y a pas de feuille « {wanted} » ; il y a {there}"
        ))  # fmt: skip
    frame, name = None, ""
    for name in [wanted] if wanted is not None else book.sheet_names:
        loaded = book.load_sheet(name, header_row=None, skip_rows=0, dtypes="string", skip_whitespace_tail_rows=True)
        if loaded.width > MOST_COLUMNS:
            raise RefusedFileError(Said(
                f"its sheet {name!r} has {loaded.width} columns, {MOST_COLUMNS} is the most: delete those not needed",
                f"sa feuille « {name} » a {loaded.width} colonnes, maximum {MOST_COLUMNS} : supprimez les inutiles",
            ))  # fmt: skip
        frame = loaded.to_polars()
        if frame.height > 1 and frame.width > 1:
            break
    if frame is None or frame.height == 0:
        raise RefusedFileError(Said(
            f"{path.name}: cannot be read as a table: no sheet has rows",
            f"{path.name} : ne se lit pas comme un tableau, aucune feuille n'a de lignes",
        ))  # fmt: skip
    if sum(frame.select(pl.all().str.len_bytes().sum()).row(0)) > LARGEST_BYTES:  # what views share is sent for each
        raise RefusedFileError(Said(
            f"its sheet {name!r} holds more than {LARGEST_BYTES >> 20} MB: save the table as CSV",
            f"sa feuille « {name} » contient plus de {LARGEST_BYTES >> 20} Mo : enregistrez le tableau en CSV",
        ))  # fmt: skip
    return Sheet(frame, name, tuple(book.sheet_names))


def _main(arguments: Sequence[str]) -> None:
    path, memory, *wanted = arguments
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from pipeline.files.tables import readable

    out = sys.stdout.buffer
    try:
        with readable(Path(path)):
            found = _found(Path(path), wanted[0] if wanted else None)
    except RefusedFileError as error:
        out.write(json.dumps({"fault": {"en": error.said.en, "fr": error.said.fr}}).encode())
        return
    except MemoryError:
        sys.exit(2)
    out.write(json.dumps({"name": found.name, "names": found.names}).encode() + b"\n")
    out.flush()
    found.frame.write_ipc_stream(out)


if __name__ == "__main__":
    _main(sys.argv[1:])
