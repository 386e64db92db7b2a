"""The parts of a platform in processes of their own: what each says is known to the others, and when it is silent."""

import asyncio
import json
from pathlib import Path

import pytest

from km0.app import running_only
from km0.parts import Part, SaidElsewhere, say
from km0.plantfile import PlantFile
from telemetry.config import parse
from telemetry.errors import ConfigError
from telemetry.health import Health
from telemetry.samples import SECOND_NS

NOW = 1_795_300_000 * SECOND_NS


async def said(folder: Path, part: Part, health: Health, now_ns: int) -> None:
    """What a part says once, and then it is killed: its file stays."""
    telling = asyncio.create_task(say(folder, part, health, lambda: now_ns))
    path = folder / f"{part}.json"
    async with asyncio.timeout(20):
        while not path.exists():  # noqa: ASYNC110  # a file is not signalled
            await asyncio.sleep(0.01)
    text = path.read_text()
    telling.cancel()
    await asyncio.wait([telling])
    assert not path.exists()  # one that ends in order leaves nothing behind
    path.write_text(text)


async def test_the_web_shows_what_the_others_say(tmp_path: Path) -> None:
    """Components of every part by their names, with counters; a part that was never there is failing."""
    collecting = Health(lambda: NOW)
    collecting.component("probe-5g").count("paused", 7)
    await said(tmp_path, Part.COLLECTORS, collecting, NOW)
    web = SaidElsewhere(tmp_path, Part.WEB, lambda: NOW + 5 * SECOND_NS)
    web.component("live").ok()
    found = {one["name"]: one for one in web.snapshot()}
    assert found.keys() == {"live", "probe-5g", "pipeline"}
    assert found["probe-5g"]["counts"] == {"paused": 7}
    assert found["pipeline"]["condition"] == "failing"
    assert "said nothing yet" in found["pipeline"]["detail"]
    assert [one["name"] for one in web.own()] == ["live"]


async def test_a_part_that_falls_silent_is_failing_whatever_it_said_last(tmp_path: Path) -> None:
    """After 15 s; its last words stay to be read beside that."""
    collecting = Health(lambda: NOW)
    collecting.component("drain").ok()
    await said(tmp_path, Part.COLLECTORS, collecting, NOW)
    web = SaidElsewhere(tmp_path, Part.WEB, lambda: NOW + 16 * SECOND_NS)
    found = {one["name"]: one for one in web.snapshot()}
    assert found["collectors"]["condition"] == "failing"
    assert "nothing for 16 s" in found["collectors"]["detail"]
    assert found["drain"]["condition"] == "ok"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"at_ns": "x", "components": []}', json.dumps({"at_ns": NOW})])
def test_a_file_that_is_no_health_is_a_part_that_said_nothing(tmp_path: Path, text: str) -> None:
    """A half-written or foreign file shows nothing and breaks nothing."""
    (tmp_path / "pipeline.json").write_text(text)
    found = [one for one in SaidElsewhere(tmp_path, Part.WEB).snapshot() if one["name"] == "pipeline"]
    assert found[0]["condition"] == "failing"


async def test_health_that_cannot_be_told_stops_nothing(tmp_path: Path) -> None:
    """A folder that cannot be made: the part goes on."""
    (tmp_path / "file").write_text("")
    telling = asyncio.create_task(say(tmp_path / "file" / "below", Part.WEB, Health()))
    await asyncio.wait([telling], timeout=0.2)
    assert not telling.done()
    telling.cancel()


async def test_parts_need_a_store_that_processes_share() -> None:
    """A DuckDB file belongs to one process; and there is no web part without a [web]."""
    with pytest.raises(ConfigError, match="DuckDB file belongs to one process"):
        async with running_only(parse("", PlantFile), Part.PIPELINE):
            pass
    with pytest.raises(ConfigError, match=r"no \[web\] section"):
        async with running_only(parse('[store]\nkind = "influxdb"', PlantFile), Part.WEB):
            pass
