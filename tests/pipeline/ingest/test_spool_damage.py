"""The spool in a file that is damaged: what can be read of it is saved, whatever happens meanwhile."""

import asyncio
import os
import shutil
import sqlite3
import struct
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.ingest.spool import Spool
from pipeline.ingest.spool_file import open_spool
from telemetry.errors import ConfigError
from telemetry.health import Component, Condition
from tests.contracts.sink import samples
from tests.pipeline.ingest.spooled import condition, disk_full_at, on_disk
from tests.support import small_disk

HEAD = b"\x06\x00\x09\x09\x84\x64"
"""Of a row's record: its own length, then the types of id (NULL: it is the row's key), put_ns and samples (both the
constant 1) and body (a blob of 300 bytes). See https://sqlite.org/fileformat2.html#record_format."""


def filled(path: Path, rows: int, size: int) -> int:
    """A spool with so many rows whose bodies have `size` zeros [bytes]; returns where its table's root page begins."""
    connection, _ = open_spool(path)
    connection.execute("BEGIN")
    for _ in range(rows):
        connection.execute("INSERT INTO batches (put_ns, samples, body) VALUES (1, 1, ?)", (bytes(size),))
    connection.execute("COMMIT")
    (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'batches'").fetchone()
    connection.close()
    return (int(root) - 1) * 4096


def overwritten(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def saved(path: Path) -> list[int]:
    """The ids of the batches that are there when it has been opened."""
    connection, _ = open_spool(path)
    found = [number for (number,) in connection.execute("SELECT id FROM batches ORDER BY id")]
    connection.close()
    return found


def test_a_damaged_file_is_saved_from_again_however_often_there_was_no_room(tmp_path: Path) -> None:
    """The disk is full in the middle of saving, or the process is killed: the next start begins where it began.

    The second start used to open an empty spool without a word, and the third to leave it at that.
    """
    path = tmp_path / "spool.sqlite"
    filled(path, 300, 8000)
    overwritten(path, path.stat().st_size // 2, b"\xff" * 8192)
    for _ in range(3):
        with disk_full_at(1_000_000), pytest.raises(ConfigError, match="has room"):
            open_spool(path)
    for _ in range(2):
        assert 295 <= len(saved(path)) < 300
    assert not any(".new" in name for name in os.listdir(tmp_path))


@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_a_move_aside_that_was_cut_short_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    """The log beside the file, left there while another process reads, has what was acknowledged last."""
    path, rename, calls = tmp_path / "spool.sqlite", os.replace, iter(range(done))
    filled(path, 2000, 300)
    overwritten(path, path.stat().st_size // 2, b"\xff" * 4096)

    def ended(old: str, new: str) -> None:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        rename(old, new)

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("INSERT INTO batches (put_ns, samples, body) VALUES (1, 1, x'00')")  # in the log alone
        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", ended)
            with pytest.raises(KeyboardInterrupt):
                open_spool(path)
        found = saved(path)
    assert 1980 < len(found) < 2001
    assert found[-1] == 2001


def test_saving_from_a_damaged_file_takes_no_more_memory_than_a_row(tmp_path: Path) -> None:
    """A full spool has 2 GB, a plant PC less: read whole, it ended the process, and the next one began with nothing."""
    path = tmp_path / "spool.sqlite"
    filled(path, 300, 100_000)
    overwritten(path, 15_000_000, b"\xff" * 8192)
    tracemalloc.start()
    try:
        connection, note = open_spool(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    connection.close()
    assert any(f"saved from it: {left} batches" in note for left in range(295, 300))
    assert peak < 5_000_000


def test_saving_from_a_damaged_file_takes_no_more_room_than_what_is_saved(tmp_path: Path) -> None:
    """8 MB are saved where 12 MB are free beside them: they are not written to a log first."""
    with small_disk(tmp_path / "disk", 20) as disk:
        path = disk / "spool.sqlite"
        filled(path, 80, 100_000)
        overwritten(path, 4_000_000, b"\xff" * 8192)
        assert shutil.disk_usage(disk).free < 13_000_000
        assert 77 <= len(saved(path)) < 80


def test_an_index_page_that_names_a_leaf_twice_costs_the_rows_of_the_one_it_does_not_name(tmp_path: Path) -> None:
    """What is read twice is saved once. The first start used to end in an error, the second to begin with nothing."""
    path = tmp_path / "spool.sqlite"
    root = filled(path, 2000, 300)
    page = path.read_bytes()[root : root + 4096]
    assert page[0] == 5  # an interior page: from byte 12 on, where each child's number lies
    ninth, tenth = struct.unpack(">HH", page[12 + 2 * 9 : 12 + 2 * 11])
    overwritten(path, root + tenth, page[ninth : ninth + 4])
    assert len(saved(path)) == 2000 - 4096 // (300 + 12)


def test_a_row_that_misses_a_value_costs_that_row(tmp_path: Path) -> None:
    """A flipped bit says NULL where a number must be: the others are saved."""
    path = tmp_path / "spool.sqlite"
    filled(path, 2000, 300)
    where = path.read_bytes().index(b"\x84\x00" + HEAD) + 2  # the record of row 512
    overwritten(path, where + 2, b"\x00")
    assert saved(path) == [number for number in range(1, 2001) if number != 512]


def test_a_dead_letter_whose_words_are_no_text_is_saved_with_the_others(tmp_path: Path) -> None:
    """Nor those after it."""
    path = tmp_path / "spool.sqlite"
    filled(path, 100, 300)
    connection, _ = open_spool(path)
    for n in range(100):
        letter = (1, "mqtt", f"reason {n:03} of it", b"{")
        connection.execute("INSERT INTO dead_letters (at_ns, source, reason, raw) VALUES (?, ?, ?, ?)", letter)
    connection.close()
    overwritten(path, path.read_bytes().index(b"reason 050"), b"\xff")
    overwritten(path, path.read_bytes().index(HEAD) + 2, b"\x00")  # what makes it be saved from
    connection, _ = open_spool(path)
    reasons = [reason for (reason,) in connection.execute("SELECT reason FROM dead_letters ORDER BY id")]
    connection.close()
    assert len(reasons) == 100
    assert reasons[50:52] == ["\N{REPLACEMENT CHARACTER}eason 050 of it", "reason 051 of it"]


@pytest.mark.parametrize("damage", ["head", "middle", "text"])
async def test_a_damaged_file_is_moved_aside_once_and_what_is_readable_is_saved(tmp_path: Path, damage: str) -> None:
    """A start, not a crash loop; the damaged file is kept; batches away from the damage are not lost."""
    path = tmp_path / "spool.sqlite"
    async with Spool(path) as spool:
        await asyncio.gather(*(spool.put(samples(n, 1, "z" * 3000)) for n in range(400)))
        await spool.set_aside("mqtt", "not JSON", b"{")
    content = bytearray(path.read_bytes())
    if damage == "head":
        content[:8192] = b"\xff" * 8192
    elif damage == "middle":
        content[len(content) // 2 : len(content) // 2 + 8192] = b"\xff" * 8192
    else:
        content = bytearray(b"this is no database " * 1000)
    path.write_bytes(content)
    component = Component("spool")
    async with Spool(path, component=component) as spool:
        assert condition(component) == Condition.OK
        assert "damaged" in component.snapshot()["detail"]
        saved = {sample.time_ns for sample in on_disk(path)}
        assert len(saved) == spool.batches
        if damage == "middle":
            assert 350 < len(saved) < 400
            assert saved >= {0, 399}
            assert spool.dead_letters.count() == 1
        await spool.put(samples(1000, 1))
    assert any(".damaged-" in name for name in os.listdir(tmp_path))
    async with Spool(path, component=component):
        assert component.snapshot()["detail"] == ""
