"""The plant model refuses what would make a KPI wrong later."""

import pytest

from telemetry.config import Section, parse
from telemetry.errors import ConfigError
from telemetry.plant import Plant


class File(Section):
    plant: Plant


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, File)
    return str(caught.value)


def test_assets_are_found_by_path() -> None:
    """`path in plant` and `plant.asset(path)` speak of the same assets, each with its calendar or none."""
    plant = parse(
        '[plant]\n[[plant.calendars]]\nname = "day"\nshifts = [{ name = "day", start = "08:00", end = "16:00" }]\n'
        '[[plant.assets]]\npath = "km0/a/b"\nname = "B"\ncalendar = "day"\n'
        '[[plant.assets]]\npath = "km0/a/c"\nname = "C"\n',
        File,
    ).plant
    assert "km0/a/b" in plant
    assert "km0/a/x" not in plant
    assert plant.asset("km0/a/b").name == "B"
    calendar = plant.calendar("km0/a/b")
    assert calendar is not None
    assert calendar.name == "day"
    assert plant.calendar("km0/a/c") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[plant]\ntimezone = "Europe/Mulhouse"', "not an IANA time zone"),
        ('[plant]\ntimezone = "Europe"', "not an IANA time zone"),
        ('[plant]\n[[plant.assets]]\npath = "KM0/Mill"\nname = "M"', "String should match"),
        ('[plant]\n[[plant.assets]]\npath = "a/b"\nname = "M"\ncalendar = "none"', "there is no calendar 'none'"),
        ('[plant]\nassets = [{path="a/b",name="1"},{path="a/b",name="2"}]', "asset 'a/b' is there twice"),
        ('[plant]\n[[plant.assets]]\npath = "a/b"\nname = "M"\ncycle_s = { x = 0 }', "greater than 0"),
        ('[plant]\n[[plant.assets]]\npath = "a/b"\nname = "M"\nstale_after_s = inf', "a finite number"),
        ('[plant]\n[[plant.assets]]\npath = "a/b"\nname = "M"\nmicro_stop_s = 1e12', "less than or equal to"),
    ],
)
def test_what_cannot_be_right_is_refused(text: str, words: str) -> None:
    """Unknown time zones, ill-formed or doubled paths, missing calendars, cycle times of zero stop the start.

    So do infinite times: "never stale" as `inf` was accepted, and ended the process at every computation.
    """
    assert words in refused(text)
