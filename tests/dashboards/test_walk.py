"""Somebody with a spreadsheet, in a real Chromium: file, mapping, figures, in French and English, at two sizes.

axe-core (tests/foreign/axe, installed by npm) judges every page on the way.
"""

import json
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from dashboards.web.app import create_app
from dashboards.web.config import AccountsConfig, WebConfig
from dashboards.web.texts import Language
from telemetry.samples import SECOND_NS
from tests.dashboards.accounts.companies import LEAST_MB, NOBODY
from tests.dashboards.diagnosing import FRENCH, by_the_command
from tests.dashboards.seeded import MILL, empty, full
from tests.dashboards.test_browser import watch
from tests.dashboards.test_server import CONFIG, served
from tests.support import npm_installed, require_program

PEER = Path(__file__).parents[1] / "foreign" / "axe"
WORDS = {
    "fr": {"send": "Envoyer", "compute": "Calculer", "figures": "58,3 %", "correct": "Corriger la correspondance"},
    "en": {"send": "Send", "compute": "Compute", "figures": "58.3%", "correct": "Correct the mapping"},
}
PREVIEW = {"fr": ("Aperçu", "Sur tout le fichier."), "en": ("Preview", "Of the whole file.")}
PAGES = (
    "/",
    f"/assets/{MILL}",
    "/losses",
    "/network",
    "/data",
    "/diagnoses",
    "/deadletters",
    "/definitions",
    "/settings",
)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    chromium = require_program("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        await browser.close()


async def narrow_enough(page: Page, width: int) -> None:
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(
    ("language", "width", "scheme"),
    [
        ("fr", 390, "dark"),
        ("en", 1280, "light"),
        pytest.param("fr", 1280, "light", marks=pytest.mark.soak),
        pytest.param("en", 390, "dark", marks=pytest.mark.soak),
    ],
)
async def test_from_a_spreadsheet_to_its_figures(
    browser: Browser, tmp_path: Path, language: Language, width: int, scheme: Any
) -> None:
    """Choose a file, send it, confirm what it says, and read the TRS, without a word of help or a complaint."""
    file = tmp_path / "Presse n°1 (été).csv"
    file.write_bytes(FRENCH)
    words = WORDS[language]
    async with served(full(config=CONFIG, rtt_every_ns=60 * SECOND_NS)) as (address, _):
        context = await browser.new_context(
            locale=f"{language}-FR", viewport={"width": width, "height": 844}, color_scheme=scheme
        )
        page = await context.new_page()
        complaints = watch(page)
        await page.goto(f"{address}diagnoses")
        await page.locator("input[type=file]").set_input_files(file)
        await page.get_by_role("button", name=words["send"]).click()
        await expect(page.locator("select[name=time]")).to_have_value("Date", timeout=30_000)
        await narrow_enough(page, width)
        await expect(page.locator("select[name='metric:parts']")).to_have_value("Quantité")
        await page.locator("input[name=cycle_s]").fill("60")
        await page.locator("input[name=hourly_cost]").fill("50,0")
        await page.get_by_role("button", name=PREVIEW[language][0]).click()
        await expect(page).to_have_url(re.compile("#preview$"), timeout=30_000)
        preview = page.locator("#preview")
        await expect(preview).to_contain_text(PREVIEW[language][1], timeout=30_000)
        await expect(preview.locator("dd").first).to_contain_text(words["figures"].replace(" ", "\u202f"))
        await narrow_enough(page, width)
        # without a press: as soon as the form is changed
        await page.locator("input[name=cycle_s]").fill("30")
        await page.locator("input[name=cycle_s]").blur()
        await expect(preview.locator("dd").first).to_contain_text(re.compile("29[.,]2"), timeout=30_000)
        await page.locator("input[name=cycle_s]").fill("60")
        await page.get_by_role("button", name=words["compute"]).click()
        await expect(page.get_by_role("link", name=words["correct"])).to_be_visible(timeout=60_000)
        await expect(page.locator("main")).to_contain_text(words["figures"].replace(" ", "\u202f"))
        await expect(page.locator("[data-drawn]")).to_have_count(2, timeout=60_000)
        await narrow_enough(page, width)
        async with page.expect_download(timeout=30_000) as download:
            await page.get_by_role("link", name="PDF").click()
        report = await (await download.value).path()
        figures = [await one.inner_text() for one in await page.locator("dl.figures dd > a").all()]
        assert complaints == []
    assert_same_figures(report, file, language, figures)


def assert_same_figures(report: Path, file: Path, language: Language, page: list[str]) -> None:
    """The PDF, read back, and the page say what `km0 oee --events` says of the same file and mapping."""
    answers = by_the_command(file, language)
    assert page[:4] == answers
    told = subprocess.run(
        [require_program("pdftotext"), "-layout", report, "-"], capture_output=True, text=True, check=True
    ).stdout
    spaceless = re.sub(r"\s", "", told)
    table = "".join(f"{name}.*?{re.escape(re.sub(chr(92) + 's', '', answer))}.*?" for name, answer in
                    zip(("TRS", "Do", "Tp", "Tq"), answers, strict=True))  # fmt: skip
    assert re.search(table, spaceless), told
    if language == "fr":
        # the narrow spaces of an axis are drawn, and lost by pdftotext where nothing else is on the line
        lines = [line for line in told.splitlines() if not re.fullmatch(r"\s*\d+\s?%\s*", line)]
        assert [line for line in lines if re.search(r"[a-zé0-9][;?!%]|«\w|\w»", line)] == []


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, installed from the registry npm is set up for."""
    script = npm_installed(PEER) / "axe-core" / "axe.min.js"
    return script.read_text(encoding="utf-8")


async def judged(page: Page, axe: str, addresses: list[str]) -> list[object]:
    """What is wrong with pages: serious faults by axe-core at 1280 px, and what is wider than a phone's 390 px."""
    faults: list[object] = []
    for address in addresses:
        await page.set_viewport_size({"width": 1280, "height": 844})
        await page.goto(address)
        await page.evaluate(axe)
        found = await page.evaluate(
            "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})"
        )
        faults += [
            (address, one["id"], [node["html"][:200] for node in one["nodes"][:3]])
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]
        await page.set_viewport_size({"width": 390, "height": 844})
        width = await page.evaluate("document.documentElement.scrollWidth")
        if width > 390:
            faults.append((address, f"{width} px wide on a phone"))
    return faults


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.soak)])
async def test_no_page_shuts_anybody_out(browser: Browser, axe: str, scheme: Any) -> None:
    """axe-core finds no serious fault of WCAG 2.2 AA, contrast included, on any page, mapping and result too; none is
    wider than a phone."""
    async with served(full(config=CONFIG, rtt_every_ns=60 * SECOND_NS)) as (address, _):
        # the judge's script is not ours: the policy of the page would refuse it
        context = await browser.new_context(locale="fr-FR", color_scheme=scheme, bypass_csp=True)
        page = await context.new_page()
        brought = []
        for run in (False, True):
            answer = await page.request.post(f"{address}api/v1/diagnoses?name=presse.csv", data=FRENCH)
            number = (await answer.json())["id"]
            brought.append(f"/diagnoses/{number}")
            if run:
                proposal = await (await page.request.get(f"{address}api/v1/diagnoses/{number}/proposal")).json()
                await page.request.post(f"{address}api/v1/diagnoses/{number}/run", data=proposal["mapping"])
                await page.goto(f"{address}diagnoses/{number}")
                await expect(page.locator("[data-drawn]")).to_have_count(2, timeout=60_000)
        faults = await judged(page, axe, [address.rstrip("/") + path for path in (*PAGES, *brought, "/nowhere")])
        assert faults == [], json.dumps(faults, indent=1, ensure_ascii=False)


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.soak)])
async def test_no_page_of_accounts_shuts_anybody_out(browser: Browser, axe: str, scheme: Any, tmp_path: Path) -> None:
    """Login, welcome, account with a token just made, people with a link just made: by keyboard alone."""
    accounts = AccountsConfig(password_mb=LEAST_MB, secure_cookies=False, oidc=NOBODY)
    seeded = empty(config=WebConfig(port=0, folder=tmp_path, accounts=accounts))
    app = create_app(seeded.context)
    async with served(seeded, app) as (address, _):
        context = await browser.new_context(locale="fr-FR", color_scheme=scheme, bypass_csp=True)
        page = await context.new_page()
        faults = await judged(page, axe, [address + app.state.welcome, address + "login"])
        await page.goto(address + app.state.welcome)
        await page.locator("input[name=name]").focus()
        await page.keyboard.press("Control+A")
        await page.keyboard.type("Ada")
        await page.keyboard.press("Tab")
        await page.keyboard.type("correct horse battery")
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(f"{address}account")
        await page.locator("input[name=name]").focus()
        await page.keyboard.type("plc")
        await page.keyboard.press("Enter")
        await expect(page.locator(".made code")).to_contain_text("km0_")
        faults += await judged(page, axe, [address + "account", address + "people"])
        assert faults == [], json.dumps(faults, indent=1, ensure_ascii=False)


async def test_on_paper_a_page_is_black_on_white_and_without_what_is_clicked(browser: Browser) -> None:
    """Printed from a dark screen: white ground, no navigation, no forms; tables and figures stay."""
    async with served(full(config=CONFIG, rtt_every_ns=60 * SECOND_NS)) as (address, _):
        context = await browser.new_context(locale="fr-FR", color_scheme="dark")
        page = await context.new_page()
        for path in ("losses", "data", "settings"):
            await page.goto(address + path)
            await page.emulate_media(media="print", color_scheme="dark")
            ground, ink = await page.evaluate("(s => [s.backgroundColor, s.color])(getComputedStyle(document.body))")
            assert (ground, ink) == ("rgb(255, 255, 255)", "rgb(0, 0, 0)"), path
            for gone in (".rooms", ".languages", ".ask"):
                assert await page.locator(f"{gone}:visible").count() == 0, (path, gone)
            assert await page.locator("table:visible").count() > 0
            await page.emulate_media(media="screen")
