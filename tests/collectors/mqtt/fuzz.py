"""`python -m tests.collectors.mqtt.fuzz [libFuzzer's arguments]`: atheris on every decoder.

The first byte of an input says which decoder and topic, the rest is the payload.
"""

import sys
from typing import Any

import atheris

with atheris.instrument_imports(include=["collectors.mqtt", "telemetry.validity"]):
    from tests.collectors.mqtt.test_fuzz import KINDS, answers_well


def one(data: bytes) -> Any:
    """What atheris calls."""
    if data:
        decoder, name = KINDS[data[0] % len(KINDS)]
        answers_well(decoder, name, data[1:])


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
