"""A nursery: plants that are forked from a process that has everything loaded, and are as others are."""

import os
import signal
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.server.server import Server

from km0.simulated import SimulatedPlant
from simulators.journal import read_journal
from simulators.nursery import Nursery
from simulators.scenario import open_scenario
from simulators.spec import OpcUaSpec, Spec
from simulators.standard_space import StandardServer, pristine
from telemetry.errors import SourceError

HOUR_NS = 3600 * 10**9


def spec_of(folder: Path, seed: int = 5) -> Spec:
    scenario = open_scenario("two-products")
    epoch_ns = scenario.starts_ns(0)
    return Spec(
        scenario=scenario, seed=seed, epoch_ns=epoch_ns, until_ns=epoch_ns + HOUR_NS, opcua=OpcUaSpec(),
        journal=folder / "journal.jsonl",
    )  # fmt: skip


async def published(folder: Path, nursery: Nursery | None, seed: int = 5) -> list[str]:
    """What a plant with an OPC UA server publishes in an hour."""
    folder.mkdir()  # noqa: ASYNC240 - nothing else runs
    async with SimulatedPlant(spec_of(folder, seed), folder, nursery) as plant:
        assert (await plant.ready())["opcua_url"].startswith("opc.tcp://127.0.0.1:")
        await plant.play(lambda _share: None)
        said = await plant.stop()
    found = [str(one) for one in read_journal(folder / "journal.jsonl").published]
    assert len(found) == said["published"] > 0
    return found


@pytest.mark.timeout(60)
async def test_a_plant_of_a_nursery_lives_as_any_other(km0_nursery: Nursery, tmp_path: Path) -> None:
    """Same seed, same life, born in a nursery or not, and however many were born before it; another seed, another."""
    first = await published(tmp_path / "first", km0_nursery)
    assert await published(tmp_path / "second", km0_nursery) == first
    assert await published(tmp_path / "alone", None) == first
    assert await published(tmp_path / "other", km0_nursery, seed=6) != first


@pytest.mark.timeout(60)
async def test_a_plant_that_cannot_start_says_why(km0_nursery: Nursery, tmp_path: Path) -> None:
    """The words of a plant whose spec is wrong reach whoever asked for it, and the nursery goes on."""
    wrong = spec_of(tmp_path).model_copy(update={"epoch_ns": 5})
    async with SimulatedPlant(wrong, tmp_path, km0_nursery) as plant:
        with pytest.raises(SourceError, match="whole millisecond"):
            await plant.ready()
    assert await published(tmp_path / "next", km0_nursery)


@pytest.mark.timeout(60)
def test_a_nursery_that_was_killed_is_a_source_that_failed(tmp_path: Path) -> None:
    """Whoever asks a dead nursery for a plant is told so, and nothing hangs."""
    (tmp_path / "spec.json").write_text("{}")
    with Nursery() as nursery:
        born = nursery.born(tmp_path / "spec.json", tmp_path / "log")
        os.close(born.stdin)
        os.close(born.stdout)
        assert nursery.pid is not None
        os.kill(nursery.pid, signal.SIGKILL)
        assert nursery._process is not None
        nursery._process.wait(20)
        with pytest.raises(SourceError, match="has ended"):
            nursery.born(tmp_path / "spec.json", tmp_path / "log")


async def test_what_one_server_writes_the_next_does_not_show() -> None:
    """Servers of one process share what nobody writes: values and references of one are not the other's."""
    before = _references()
    servers = [Server(iserver=StandardServer()) for _ in range(2)]
    for server in servers:
        await server.init()
    one, other = servers
    await one.register_namespace("urn:one")
    await one.nodes.objects.add_folder(
        ua.NodeId(ua.String("mine"), ua.Int16(2)), ua.QualifiedName("mine", ua.UInt16(2))
    )
    assert "urn:one" in await one.get_namespace_array()
    assert "urn:one" not in await other.get_namespace_array()
    assert "mine" in await _names(one)
    assert "mine" not in await _names(other)
    renamed = ua.DataValue(ua.Variant(ua.LocalizedText("renamed")))
    await one.nodes.server.write_attribute(ua.AttributeIds.DisplayName, renamed)
    assert "renamed" not in {told.DisplayName.Text for told in await other.nodes.objects.get_references()}
    assert _references() == before
    plain = Server()
    await plain.init()
    assert set(plain.iserver.aspace.keys()) == set(other.iserver.aspace.keys())


def _references() -> dict[ua.NodeId, list[str]]:
    return {node: [repr(one) for one in data.references] for node, data in pristine()._nodes.items()}


async def _names(server: Server) -> list[str | None]:
    return [(await node.read_browse_name()).Name for node in await server.nodes.objects.get_children()]
