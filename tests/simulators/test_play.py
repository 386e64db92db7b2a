"""A plant that is played at a speed: nothing comes before its time, and nothing in heaps."""

import asyncio
import json
import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from simulators.faults import Fault
from simulators.journal import Journal, read_journal
from simulators.plant import Plant
from simulators.scenario import open_scenario
from simulators.spec import MqttSpec, Spec
from tests.simulators.mqtt_peer import Subscriber, nanoseconds
from tests.support import Mosquitto

SPEED = 600.0
BEAT_S = 0.2
LATE_S = 20.0
"""What a busy machine may be late."""


def seconds(payload: bytes, starts_ns: int) -> list[float]:
    """The instants of a message of format A [s after the start]."""
    told = json.loads(payload)
    return [(nanoseconds(one["time"]) - starts_ns) / 1e9 for one in (told if isinstance(told, list) else [told])]


@pytest.mark.parametrize(
    ("minutes", "faults", "apart_s"),
    [(20, (), SPEED * BEAT_S), (8, (Fault(kind="duplicated", at_min=2, for_min=3, share=0.5),), 60.0)],
)
async def test_at_a_speed_a_value_comes_when_its_time_has_come(
    mosquitto: Mosquitto, minutes: int, faults: tuple[Fault, ...], apart_s: float, tmp_path: Path
) -> None:
    """At 600 plant seconds a second no value comes before its own instant, and all have come soon after; what shares a
    message happened within a fifth of a second of play, or, with faults, within a minute of plant."""
    scenario = open_scenario("wrong-reference-cycle").model_copy(update={"faults": faults})
    starts_ns = scenario.starts_ns(0)
    spec = Spec(
        scenario=scenario, seed=3, epoch_ns=starts_ns, until_ns=starts_ns + minutes * 60 * 10**9, speed=SPEED,
        mqtt=MqttSpec(port=mosquitto.port),
    )  # fmt: skip
    with Subscriber(mosquitto.port) as witness, Journal(tmp_path / "journal") as journal:
        plant = Plant(spec, journal)
        await plant.start()
        began_s = time.monotonic()
        await plant.play(lambda _done: None)
        assert await plant.stop() == 0
        published = read_journal(tmp_path / "journal").identities
        await asyncio.to_thread(witness.wait_for, published, LATE_S)
    assert witness.identities() == published
    came = [(heard_s - began_s, seconds(payload, starts_ns)) for heard_s, _, payload in witness.heard]
    assert sum(len(times) for _, times in came) >= 5 * minutes
    early = [(heard_s, times) for heard_s, times in came if heard_s < max(times) / SPEED]
    assert early == []
    assert [times for heard_s, times in came if heard_s > min(times) / SPEED + apart_s / SPEED + LATE_S] == []
    assert max(max(times) - min(times) for _, times in came) < apart_s


def test_a_speed_at_which_the_past_never_ends_is_refused() -> None:
    """Without an end the past ends now, and at plant seconds as long as ours it would stay as far away as it was."""
    scenario, mqtt = open_scenario("wrong-reference-cycle"), MqttSpec(port=1883)
    with pytest.raises(ValidationError, match="never reaches the present"):
        Spec(scenario=scenario, seed=3, epoch_ns=10**18, speed=1.0, mqtt=mqtt)
    assert Spec(scenario=scenario, seed=3, epoch_ns=10**18, speed=1.5, mqtt=mqtt).until_ns is None
