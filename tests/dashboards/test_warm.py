"""What is done before anybody asks: templates, first readings, and the script that draws charts."""

import gzip
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from httpx2 import Client

from dashboards.web import charts
from dashboards.web.warm import Warmth
from telemetry.errors import StoreError
from tests.dashboards.seeded import full
from tests.dashboards.test_server import CONFIG, served_warm


def test_a_store_that_does_not_answer_costs_one_step() -> None:
    """The others are done all the same; the page that needs the store will say that it does not answer."""
    done: list[str] = []

    def deaf() -> None:
        raise StoreError("not now")

    Warmth([lambda: done.append("one"), deaf, lambda: done.append("two")]).run()
    assert done == ["one", "two"]


def test_after_the_end_nothing_begins() -> None:
    """Whoever ends the app waits for the step under way and for no other."""
    begun, on = threading.Event(), threading.Event()
    done: list[str] = []
    warmth = Warmth([lambda: begun.set() or on.wait(30), lambda: done.append("never")])
    running = threading.Thread(target=warmth.run)
    running.start()
    assert begun.wait(30)
    warmth.close()
    on.set()
    running.join(30)
    assert not running.is_alive()
    assert done == []


async def test_the_app_is_warmed_when_served_and_ends_all_the_same() -> None:
    """The plant was read before the first request, and is read again by nobody within its moment."""
    seeded = full(config=CONFIG, rtt_every_ns=60 * 10**9)
    reads = 0
    real = seeded.store.read_many_kpis

    def counted(*asked: object) -> object:
        nonlocal reads
        reads += 1
        return real(*asked)  # type: ignore[arg-type]  # as it was asked

    seeded.store.read_many_kpis = counted  # type: ignore[assignment, method-assign]  # counts, and asks the store
    async with served_warm(seeded) as client:
        before = reads
        assert before > 0
        assert (await client.get("/losses")).status_code == 200
        assert reads == before


def test_a_damaged_copy_of_the_drawing_script_is_made_again(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is kept between starts; what a full disk cut short is replaced."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(charts, "_bundle", None)
    kept = charts._file()
    kept.parent.mkdir()
    kept.write_bytes(gzip.compress(b"vegaEmbed")[:-3])
    assert b"vegaEmbed" in client.get("/static/vega.js").content
    assert b"vegaEmbed" in gzip.decompress(kept.read_bytes())
    assert charts.maker() is None
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_where_nothing_can_be_kept_the_drawing_script_is_kept_in_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A user without a home that can be written, as in a container: what the process made serves all the same; what a
    process that was ended left behind serves nobody."""
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(charts, "_bundle", None)
    monkeypatch.setattr(charts, "made", lambda: pytest.fail("made again"))
    script = gzip.compress(b"vegaEmbed")
    for code in (1, 0):
        say = f"import sys; sys.stdout.buffer.write({script!r}); sys.exit({code})"
        charts.take(subprocess.Popen([sys.executable, "-c", say], stdout=subprocess.PIPE))
        assert (charts._bundle is None) == (code == 1)
    assert charts.bundle()[0] == script
