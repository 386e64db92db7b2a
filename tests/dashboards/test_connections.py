"""Who connects too often, says nothing, or takes nothing: let go of before the process has no files left."""

import asyncio
from pathlib import Path

import pytest

from dashboards.web import connections
from dashboards.web import server as serving
from tests.dashboards.accounts.companies import companies
from tests.dashboards.raw import PATIENT_S, Raw, reached


async def test_connections_too_many_are_told_so_and_then_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four promised the fourth is answered; the fifth and the sixth are told 503, the seventh is cut unheard."""
    monkeypatch.setattr(connections, "HEAD_S", 10 * PATIENT_S)
    monkeypatch.setattr(connections, "MORE", 2)
    monkeypatch.setattr(serving, "BESIDES_STREAMS", 3)
    async with reached(companies(tmp_path, max_streams=1)) as address:
        held = [await Raw.to(address) for _ in range(4)]
        held[3].say(b"GET /login")
        assert (await held[3].answer())[0] == 200
        held += [await Raw.to(address) for _ in range(3)]
        assert await held[6].rest() == b""
        for too_many in held[4:6]:
            too_many.say(b"GET /login")
        assert [(await too_many.answer())[0] for too_many in held[4:6]] == [503, 503]
        for one in held:
            one.close()


async def test_silent_connections_do_not_make_it_deaf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that never ask are closed, those too many at once; who asks is answered. The collectors' files and
    connections come out of the same number that the process may have."""
    monkeypatch.setattr(connections, "HEAD_S", 1.0)
    monkeypatch.setattr(connections, "MORE", 2)
    monkeypatch.setattr(serving, "BESIDES_STREAMS", 3)
    found = companies(tmp_path, max_streams=1)
    async with reached(found) as address:
        silent = [await Raw.to(address) for _ in range(20)]
        assert [await raw.rest() for raw in silent] == [b""] * 20
        raw = await Raw.to(address)
        raw.say(b"GET /login")
        assert (await raw.answer())[0] == 200
        for one in (raw, *silent):
            one.close()


async def test_a_head_that_comes_byte_by_byte_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on a connection that was answered before, and however often a byte comes."""
    monkeypatch.setattr(connections, "HEAD_S", 0.5)
    async with reached(companies(tmp_path)) as address:
        raw = await Raw.to(address)
        raw.say(b"GET /login")
        assert (await raw.answer())[0] == 200

        async def drip() -> None:
            while True:
                await raw.send(b"G")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        assert await raw.rest() == b""
        dripping.cancel()
        await asyncio.wait([dripping])
        raw.close()


async def test_who_takes_no_answer_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand answers asked for and none taken: the connection ends."""
    monkeypatch.setattr(connections, "STALLED_S", 0.3)
    async with reached(companies(tmp_path)) as address:
        raw = await Raw.to(address)
        for _ in range(1000):
            raw.say(b"GET /static/app.css")
        assert await raw.is_cut()
        raw.close()
