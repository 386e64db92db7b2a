"""The quick way of a flat JSON reading says what the common way says."""

from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.mqtt.decoder import MessageError
from tests.collectors.mqtt.test_json import FORMAT_A, PRESS, T, decode


@given(
    st.dictionaries(
        st.sampled_from(["value", "time", "quality", "other"]),
        st.none()
        | st.booleans()
        | st.integers(-(2**70), 2**70)
        | st.floats(-1e6, 1e6)
        | st.sampled_from(["good", "Bad", "0", "ON", "12", "2026-11-22T03:49:57.123Z", "2026-11-22T03:49:57.1234567Z"])
        | st.sampled_from([T // 1_000_000, T // 1_000_000_000, T]),
    ),
    st.sampled_from(["parts", "state", "power", "product"]),
)
@settings(max_examples=500, deadline=None)
def test_the_short_way_says_what_the_common_way_says(reading: dict[str, object], metric: str) -> None:
    """A flat reading alone takes a shorter way through the decoder than in an array: with the same result."""
    alone, in_array = (outcome(document, metric) for document in (reading, [reading]))
    assert alone == in_array


def outcome(document: object, metric: str) -> object:
    try:
        (result,) = decode(FORMAT_A, f"{PRESS}/{metric}", document)
    except MessageError as error:
        return str(error)
    return str(result) if isinstance(result, MessageError) else result
