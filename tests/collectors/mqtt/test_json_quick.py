"""The quick way of flat JSON readings says what the common way says."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.mqtt.decoder import Message, MessageError
from tests.collectors.mqtt.test_json import FORMAT_A, PRESS, RECEIVED, T, topic

READINGS = st.dictionaries(
    st.sampled_from(["value", "time", "quality", "other"]),
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(-1e6, 1e6)
    | st.sampled_from(["good", "Bad", "0", "ON", "12", "2026-11-22T03:49:57.123Z", "2026-11-22T03:49:57.1234567Z"])
    | st.sampled_from([T // 1_000_000, T // 1_000_000_000, T]),
)
STATED = b"\x26\0\x02at\0\x0a1795319397"
"""The user property at=1795319397."""


@given(
    READINGS | st.lists(READINGS | st.none() | st.just([]), max_size=4),
    st.sampled_from(["parts", "state", "power", "product"]),
    st.sampled_from([b"", STATED]),
)
@settings(max_examples=500, deadline=None)
def test_the_short_way_says_what_the_common_way_says(document: object, metric: str, properties: bytes) -> None:
    """A flat reading, alone or among others in an array: the same sample or reason as without the short way."""
    message = Message(f"{PRESS}/{metric}", json.dumps(document).encode(), RECEIVED, False, properties)
    assert outcome(message, short=True) == outcome(message, short=False)


def outcome(message: Message, *, short: bool) -> list[object]:
    decoder = topic(FORMAT_A | {"time_property": "at", "scale": 2.0, "offset": 1.0}).decoder()
    assert decoder._flat, "or nothing is tested"
    decoder._flat = short  # type: ignore[misc]  # for good, but for this test
    try:
        return [str(one) if isinstance(one, MessageError) else one for one in decoder.decode(message)]
    except MessageError as error:
        return [str(error)]
