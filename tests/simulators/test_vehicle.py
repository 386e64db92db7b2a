"""Vehicles and the 5G network's own figures: seeded processes that obey their own laws."""

import dataclasses
import math
from itertools import pairwise, takewhile

import pytest

from simulators.radio_network import RadioNetworkModel
from simulators.scenario import HOUR_NS, open_scenario
from simulators.timeline import Event, machine_events
from simulators.truth import Truth
from simulators.vehicle import VehicleModel
from telemetry.glossary import METRICS

BORN = 1_795_000_000 * 10**9
STATIONS = ((2.0, 3.0), (60.0, 5.0), (58.0, 38.0))
AGV = VehicleModel("km0/logistics/agv/agv-1", STATIONS, ((10.0, 10.0), (55.0, 35.0)))
GNB = RadioNetworkModel("km0/network/5g/gnb-1", core=False)
CORE = RadioNetworkModel("km0/network/5g/core-1", core=True)


def lived(model: VehicleModel | RadioNetworkModel, seed: int = 1, hours: int = 6) -> list[Event]:
    return list(takewhile(lambda event: event[0] < BORN + hours * HOUR_NS, model.events(seed, BORN)))


@pytest.mark.parametrize("model", [AGV, GNB, CORE])
def test_the_same_seed_gives_the_same_story_in_the_glossarys_words(model: VehicleModel | RadioNetworkModel) -> None:
    """In time order, one value per metric and instant, inside the glossary's limits; another seed, another story."""
    told = lived(model)
    assert told == lived(model) != lived(model, seed=2)
    assert all(one[0] <= two[0] for one, two in pairwise(told))
    assert len({(time_ns, metric) for time_ns, metric, _ in told}) == len(told)
    numbers = [(METRICS[metric], value) for _, metric, value in told if not isinstance(value, str)]
    assert all(metric.minimum <= value <= metric.maximum for metric, value in numbers)


def test_a_vehicle_is_never_faster_than_it_can_be_and_loads_where_a_station_is() -> None:
    """Between two reports it moves at most speed × time; when it loads it stands at a station, to the centimetre."""
    at: dict[str, float] = {}
    mission, places = "", []
    for time_ns, metric, value in lived(AGV):
        if metric == "mission":
            mission = str(value)
        elif metric in ("position_x", "position_y"):
            at[metric] = float(value)
            if len(at) == 2 and metric == "position_y":
                places.append((time_ns, at["position_x"], at["position_y"]))
        if metric == "handovers" and mission == "loads":
            assert any(math.dist((at["position_x"], at["position_y"]), one) < 0.02 for one in STATIONS)
    for (t0, x0, y0), (t1, x1, y1) in pairwise(places):
        assert math.dist((x0, y0), (x1, y1)) <= AGV.speed * (t1 - t0) / 1e9 + 0.03


def test_handovers_are_the_changes_of_the_cell() -> None:
    """The counter ends at the number of changes of the word, and there are some."""
    told = lived(AGV)
    cells = [value for _, metric, value in told if metric == "cell"]
    handovers = [int(value) for _, metric, value in told if metric == "handovers"]
    assert handovers == list(range(len(cells)))
    assert len(cells) > 5


def test_a_battery_that_is_low_is_charged() -> None:
    """It never falls far below the limit at which a vehicle drives home: the longest way costs 1.4 %."""
    battery = [float(value) for _, metric, value in lived(AGV, hours=24) if metric == "battery"]
    assert min(battery) > 20.0
    assert battery[0] > 80.0
    assert any(two > one for one, two in pairwise(battery))


def test_no_more_devices_are_connected_than_registered() -> None:
    """The gNB's connected devices are never more than all devices, nor the core's registered ones."""
    assert max(float(v) for _, m, v in lived(GNB) if m == "connected_ues") <= GNB.devices
    assert max(float(v) for _, m, v in lived(CORE) if m == "registered_ues") <= CORE.devices


def test_a_register_counts_what_its_meter_measured() -> None:
    """Six hours of power readings, each held until the next, are the watt-hours that the register shows, rounded down;
    it never runs back."""
    scenario = open_scenario("wrong-reference-cycle")
    (press,) = scenario.models.values()
    metered = dataclasses.replace(press, gauge=dataclasses.replace(press.gauge, energy=True))
    start = scenario.starts_ns(0)
    story = takewhile(lambda event: event[0] < start + 6 * HOUR_NS, machine_events(metered, 1, start))
    told = [event for event in story if event[1] in ("power", "energy")]
    shown = [int(value) for _, metric, value in told if metric == "energy"]
    readings = [float(value) for _, metric, value in told if metric == "power"]
    assert shown == sorted(shown)
    assert shown[0] == 0
    assert shown[-1] == int(sum(readings[:-1]) * press.gauge.every_s / 3600)


def test_the_truth_knows_what_is_in_force_of_a_vehicle() -> None:
    """The position an hour after the start is the last one told until then."""
    truth = Truth([], 1, BORN, others=[AGV])
    held = truth.in_force(AGV.path, BORN + HOUR_NS)
    last = [value for time_ns, metric, value in lived(AGV) if metric == "position_x" and time_ns <= BORN + HOUR_NS][-1]
    assert held["position_x"] == last
    assert set(held) >= {"mission", "battery", "cell", "handovers"}
