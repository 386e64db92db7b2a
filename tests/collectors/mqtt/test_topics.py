"""Topic templates: what they match, what they fill in, what they subscribe to."""

import pytest

from collectors.mqtt.topics import TopicTemplate, fill, generalisations, parts_of, shared_group


def test_named_parts_are_levels() -> None:
    """Each named part takes one level; the subscription has a + in its place."""
    template = TopicTemplate("{site}/{area}/{line}/{asset}/{metric}")
    assert template.filter == "+/+/+/+/+"
    assert template.match("km0/fabrication/cell-2/press-1/parts") == {
        "site": "km0",
        "area": "fabrication",
        "line": "cell-2",
        "asset": "press-1",
        "metric": "parts",
    }
    assert template.match("km0/fabrication/cell-2/press-1") is None
    assert template.match("km0/fabrication/cell-2/press-1/parts/total") is None


def test_literal_levels_match_only_themselves() -> None:
    """A literal level is text, even when it looks like a pattern."""
    template = TopicTemplate("printers.v1/{name}/report")
    assert template.filter == "printers.v1/+/report"
    assert template.match("printers.v1/printer-1/report") == {"name": "printer-1"}
    assert template.match("printersxv1/printer-1/report") is None


@pytest.mark.parametrize(
    ("template", "topic", "matches"),
    [
        ("a/+/c", "a/b/c", True),
        ("a/+/c", "a//c", True),
        ("a/+/c", "a/b/d/c", False),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),  # MQTT 5, 4.7.1.2: "sport/tennis/player1/#" also matches "sport/tennis/player1"
        ("a/#", "ab", False),
        ("#", "a/b", True),
        ("#", "$SYS/uptime", False),  # MQTT 5, 4.7.2: not by a wildcard at the start
        ("+/uptime", "$SYS/uptime", False),
        ("{x}/uptime", "$SYS/uptime", False),
        ("$SYS/#", "$SYS/uptime", True),
        ("a/{x}", "a/line\nbreak", True),
    ],
)
def test_wildcards_match_as_mqtt_says(template: str, topic: str, matches: bool) -> None:
    """A template matches exactly what a broker sends for its filter: no message is left without a decoder."""
    assert (TopicTemplate(template).match(topic) is not None) is matches


@pytest.mark.parametrize("template", ["", "a/{B}", "a/b{c}", "a/#/b", "a/b+", "{x}/{x}", "a/{x"])
def test_a_template_that_is_none_is_refused(template: str) -> None:
    """What cannot be subscribed to is refused with the place."""
    with pytest.raises(ValueError, match=r"topic|part"):
        TopicTemplate(template)


def test_fill_puts_parts_in() -> None:
    """A path is made of the topic's parts and literal text."""
    assert fill("km0/additive/print-hall/{name}", {"name": "printer-1"}) == "km0/additive/print-hall/printer-1"
    assert parts_of("km0/{a}/{b}") == {"a", "b"}
    with pytest.raises(ValueError, match="lower case"):
        parts_of("km0/{A}")


def test_generalisations_are_every_filter_that_matches() -> None:
    """The filters that can have brought "a/b" are these and no other."""
    assert sorted(generalisations("a/b")) == sorted(
        ["#", "a/#", "+/#", "a/b", "a/+", "+/b", "+/+", "a/b/#", "a/+/#", "+/b/#", "+/+/#"]
    )


def test_the_group_of_a_shared_subscription_is_told() -> None:
    """What stands before the filter; a topic that only looks like it has none."""
    assert shared_group("$share/km0/a/+") == "$share/km0/"
    assert shared_group("a/$share/km0") == ""
