"""Somebody with a spreadsheet, in a real Chromium: file, mapping, figures, in French and English, at two sizes.

axe-core (tests/foreign/axe, installed by npm) judges every page on the way.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from telemetry.samples import SECOND_NS
from tests.dashboards.seeded import MILL, full
from tests.dashboards.test_browser import watch
from tests.dashboards.test_diagnoses import FRENCH
from tests.dashboards.test_server import CONFIG, served
from tests.support import npm_installed, require_program

PEER = Path(__file__).parents[1] / "foreign" / "axe"
WORDS = {
    "fr": {"send": "Envoyer", "compute": "Calculer", "figures": "58,3 %", "correct": "Corriger la correspondance"},
    "en": {"send": "Send", "compute": "Compute", "figures": "58.3%", "correct": "Correct the mapping"},
}
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
    browser: Browser, tmp_path: Path, language: str, width: int, scheme: Any
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
        await page.get_by_role("button", name=words["compute"]).click()
        await expect(page.get_by_role("link", name=words["correct"])).to_be_visible(timeout=60_000)
        await expect(page.locator("main")).to_contain_text(words["figures"].replace(" ", "\u202f"))
        await expect(page.locator("[data-drawn]")).to_have_count(2, timeout=60_000)
        await narrow_enough(page, width)
        assert complaints == []


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, installed from the registry npm is set up for."""
    script = npm_installed(PEER) / "axe-core" / "axe.min.js"
    return script.read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.soak)])
async def test_no_page_shuts_anybody_out(browser: Browser, axe: str, scheme: Any) -> None:
    """axe-core finds no serious fault of WCAG 2.2 AA, contrast included, on any page, light or dark."""
    async with served(full(config=CONFIG, rtt_every_ns=60 * SECOND_NS)) as (address, _):
        # the judge's script is not ours: the policy of the page would refuse it
        context = await browser.new_context(locale="fr-FR", color_scheme=scheme, bypass_csp=True)
        page = await context.new_page()
        faults = []
        for path in PAGES:
            await page.goto(address.rstrip("/") + path)
            await page.evaluate(axe)
            found = await page.evaluate(
                "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})"
            )
            faults += [
                (path, one["id"], [node["html"][:200] for node in one["nodes"][:3]])
                for one in found["violations"]
                if one["impact"] in ("serious", "critical")
            ]
        assert faults == [], json.dumps(faults, indent=1, ensure_ascii=False)
