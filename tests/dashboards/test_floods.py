"""Who sends too much, too slowly or too often: refused before it costs memory, disk, files or other people's login."""

import asyncio
import contextlib
import os
import threading
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

import httpx2
import pytest

from dashboards.web import security
from dashboards.web.accounts import passwords
from dashboards.web.accounts.identity import OPEN
from dashboards.web.config import WebConfig
from dashboards.web.diagnoses import work as working
from dashboards.web.diagnoses.shelf import Shelf
from dashboards.web.diagnoses.upload import bring
from dashboards.web.problems import ProblemError
from telemetry.config import parse
from telemetry.errors import ConfigError, StoreError
from tests.dashboards.accounts.companies import PASSWORD, companies
from tests.dashboards.raw import PATIENT_S, Raw, reached


@pytest.mark.parametrize("request_line", [b"PUT /api/v1/mappings/x", b"POST /login", b"POST /welcome/x"])
async def test_a_large_body_is_refused_before_it_comes(tmp_path: Path, request_line: bytes) -> None:
    """Nobody in particular announces two gigabytes: refused by the announcement, with a problem."""
    async with reached(companies(tmp_path)) as address:
        raw = await Raw.to(address)
        raw.say(request_line, b"Content-Type: application/json", b"Content-Length: 2000000000")
        status, text = await raw.answer()
        assert status == 413
        assert b"urn:km0:problem:body-too-large" in text
        raw.close()


async def test_a_body_without_a_length_is_counted(tmp_path: Path) -> None:
    """A stranger's body that never ends is refused after a megabyte; before, it filled memory ahead of the 401."""
    async with reached(companies(tmp_path)) as address:
        raw = await Raw.to(address)
        raw.say(b"PUT /api/v1/mappings/x", b"Content-Type: application/json", b"Transfer-Encoding: chunked")

        poured = 0

        async def pour() -> None:
            nonlocal poured
            part = b"x" * 65536
            with contextlib.suppress(ConnectionError):
                while True:
                    await raw.send(b"10000\r\n" + part + b"\r\n")
                    poured += len(part)

        pouring = asyncio.create_task(pour())
        status, _ = await raw.answer()
        assert status == 413
        assert poured < 8 * security.MAX_BODY  # with what the buffers between hold
        raw.close()
        pouring.cancel()
        await asyncio.wait([pouring])


async def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten bytes of a hundred, and then nothing: 408."""
    monkeypatch.setattr(security, "BODY_S", 0.3)
    async with reached(companies(tmp_path)) as address:
        raw = await Raw.to(address)
        raw.say(b"POST /login", b"Content-Type: application/x-www-form-urlencoded", b"Content-Length: 100")
        await raw.send(b"name=admin")
        assert (await raw.answer())[0] == 408
        raw.close()


def test_a_file_may_be_larger_than_a_form(tmp_path: Path) -> None:
    """Three megabytes of a table come in; called a form by its sender, it is not parsed as one to look for a word."""
    found = companies(tmp_path)
    content = b"time,state\n" + b"2026-01-01T00:00:00Z,run\n" * 125_000
    with found.client("engineer") as client:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert client.post("/api/v1/diagnoses?name=a.csv", content=content, headers=form).status_code == 201
        del client.headers["X-CSRF-Token"]
        answer = client.post("/api/v1/diagnoses?name=a.csv", content=b"csrf=x&" + content, headers=form)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:km0:problem:form-too-old")


def test_a_file_that_says_no_length_fills_no_more_than_its_room(tmp_path: Path) -> None:
    """Three megabytes in pieces where one may be kept: refused, and nothing of them stays."""
    found = companies(tmp_path, keep_mb=1)
    with found.client("engineer") as client:
        answer = client.post("/api/v1/diagnoses?name=a.csv", content=(b"time,state\n" * 1000 for _ in range(300)))
    assert (answer.status_code, answer.json()["type"]) == (507, "urn:km0:problem:no-room")
    assert list((tmp_path / "diagnoses").iterdir()) == []


@pytest.mark.parametrize(("said", "come_in"), [(900_000, {2}), (None, {0, 1, 2})])
async def test_what_comes_at_once_is_bounded_as_what_is_kept(
    tmp_path: Path, said: int | None, come_in: set[int]
) -> None:
    """Twenty files of 0.9 MB come at once where 2 MB may be kept: there is never more on disk, while they come and
    after. Of those that say their length two come in; those that do not may stop each other."""
    shelf, config = Shelf(tmp_path), WebConfig(keep_mb=2, max_upload_mb=1)
    near_the_end, everybody = set[int](), asyncio.Event()

    def on_disk() -> int:
        size = 0
        for folder, _, files in os.walk(tmp_path / "diagnoses"):  # unlike rglob, it passes folders that go meanwhile
            for file in files:
                with contextlib.suppress(FileNotFoundError):
                    size += Path(folder, file).stat().st_size
        return size

    def is_there(number: int) -> None:
        near_the_end.add(number)
        if len(near_the_end) == 20:
            everybody.set()

    async def body(number: int) -> AsyncIterator[bytes]:
        for part in range(9):
            yield b"time,state" * 10_000
            assert on_disk() <= 2_000_000
            if part == 7:
                is_there(number)
                await asyncio.wait_for(everybody.wait(), PATIENT_S)

    async def refused(number: int) -> str:
        try:
            await bring(shelf, config, OPEN, f"{number}.csv", body(number), said)
        except ProblemError as problem:
            return problem.kind
        finally:
            is_there(number)
        return ""

    why = Counter(await asyncio.gather(*(refused(number) for number in range(20))))
    came = why[""]
    assert why["no-room"] == 20 - came
    assert came in come_in
    assert on_disk() == came * 900_000
    # what was refused holds no room
    room = shelf.room(OPEN.organisation)
    assert shelf.take(room, 2_000_000 - came * 900_000, 2_000_000)
    assert not shelf.take(room, 1, 2_000_000)
    shelf.close()


async def test_a_file_that_comes_slowly_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that announces a megabyte and sends a byte now and then holds its room no longer than a minute: 408, and
    nothing of it stays."""
    monkeypatch.setattr(security, "BODY_S", 0.3)
    found = companies(tmp_path)
    async with reached(found) as address:
        raw = await Raw.to(address)
        token = f"Authorization: Bearer {found.tokens['token write']}".encode()
        raw.say(b"POST /api/v1/diagnoses?name=a.csv", token, b"Content-Length: 1000000")

        async def drip() -> None:
            while True:
                await raw.send(b"a")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        assert (await raw.answer())[0] == 408
        dripping.cancel()
        await asyncio.wait([dripping])
        raw.close()
    assert list((tmp_path / "diagnoses").iterdir()) == []


def test_a_company_that_asks_for_much_does_not_make_others_wait_for_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is computed, seven of one company wait, then one of another comes: it is the next, or the one after."""
    monkeypatch.setattr(working, "AT_ONCE", 1)
    shelf = Shelf(tmp_path)
    work = working.Work(shelf, largest=1)
    go, order, done = threading.Event(), list[int](), threading.Semaphore(0)

    def ask(organisation: int) -> None:
        def find() -> NoReturn:
            go.wait(PATIENT_S)
            order.append(organisation)
            done.release()
            raise StoreError("nothing to find")

        found = shelf.add(shelf.room(organisation), "", "", 0, "plant")
        assert work.start_plant(found, "{}", find)

    for organisation in (1, 1, 1, 1, 1, 1, 1, 1, 2):
        ask(organisation)
    go.set()
    assert all(done.acquire(timeout=PATIENT_S) for _ in range(9))
    assert order.index(2) in (1, 2)
    work.close()


async def _attempt(address: str, forwarded: str, name: str, password: str = "wrong") -> int:  # noqa: S107  # it is
    async with httpx2.AsyncClient(base_url=address, headers={"X-Forwarded-For": forwarded}) as client:
        return (await client.post("login", data={"name": name, "password": password})).status_code


@pytest.mark.parametrize(("proxies", "other"), [(("127.0.0.0/8",), 303), ((), 429)])
async def test_a_proxy_that_is_named_says_who_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxies: tuple[str, ...], other: int
) -> None:
    """Behind a named proxy a stranger who guesses locks out himself alone. A proxy that is not named is not believed:
    whoever could say where he comes from would guess for ever."""
    monkeypatch.setattr(passwords, "MOST_OF_ADDRESS", 5)
    found = companies(tmp_path, proxies=proxies)
    async with reached(found) as address:
        for number in range(passwords.MOST_OF_ADDRESS):
            assert await _attempt(address, "192.0.2.66, 203.0.113.9", f"nobody-{number}") == 403
        assert await _attempt(address, "198.51.100.1, 203.0.113.9", "engineer", PASSWORD) == 429
        assert await _attempt(address, "203.0.113.9, 198.51.100.1", "engineer", PASSWORD) == other


def test_a_proxy_is_an_address() -> None:
    """A name is refused, with what to write."""
    with pytest.raises(ConfigError, match=r'"172\.16\.0\.0/12"'):
        parse('proxies = ["nginx"]', WebConfig)


def test_one_who_has_a_whole_network_is_one() -> None:
    """Every home has 2^64 addresses of IPv6: failures are counted by that network."""
    patience = passwords.Patience(lambda: 0.0)
    for number in range(passwords.MOST_OF_ADDRESS):
        patience.failed(f"nobody-{number}", f"2001:db8:1:2::{number:x}")
    assert patience.wait_s("engineer", "2001:db8:1:2:ffff::1") > 0
    assert patience.wait_s("engineer", "2001:db8:1:3::1") == 0


def test_a_wrong_link_costs_no_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password's hash takes 64 MB: nobody has it made by a link that never was."""
    found = companies(tmp_path)
    monkeypatch.setattr(passwords.Passwords, "hashed", lambda *_: pytest.fail("hashed"))
    with found.client() as client:
        answer = client.post("/welcome/never-was", data={"name": "mallory", "password": PASSWORD})
    assert answer.status_code == 404
