"""The page in a real Chromium."""

from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, async_playwright, expect

from telemetry.samples import SECOND_NS, Sample
from tests.dashboards.seeded import MILL, NOW_NS, Seeded, full
from tests.dashboards.test_server import CONFIG, served
from tests.support import require_program


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    chromium = require_program("chromium")
    async with async_playwright() as playwright:
        # Chromium's sandbox does not start as root
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = await browser.new_context(locale="fr-FR", viewport={"width": 1280, "height": 900})
        yield await context.new_page()
        await browser.close()


def watch(page: Page) -> list[str]:
    """Everything the browser complains about: errors, refused content, requests to other hosts."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: complaints.append(request.url) if not request.url.startswith("http://127.0.0.1:") else None,
    )
    return complaints


def seeded_plant() -> Seeded:
    return full(config=CONFIG, rtt_every_ns=10 * SECOND_NS)


async def test_the_page_is_live(page: Page) -> None:
    """It shows state and TRS at once, then a state that changes, in place: focus and open cards stay. No complaint."""
    seeded = seeded_plant()
    complaints = watch(page)
    async with served(seeded) as (address, _):
        await page.goto(address)
        mill = page.locator("article", has_text="Fraiseuse 5 axes")
        await expect(mill).to_contain_text("En production")
        await expect(mill.locator(".big")).to_contain_text("%")
        await expect(page.locator("#link-state")).to_have_text("En direct")
        await mill.locator(".big .figure").click()
        card = mill.locator(".provenance:popover-open")
        await expect(card).to_contain_text("NF E60-182")
        seeded.clock.now_ns += 2 * SECOND_NS
        seeded.store.write(
            [
                Sample(NOW_NS + SECOND_NS, MILL, "state", 1.0),
                Sample(NOW_NS + SECOND_NS, MILL, "reason", 0.0, "<b>broche</b>"),
            ]
        )
        await expect(mill.locator(".state-word")).to_contain_text("En panne")
        await expect(mill.locator(".reason")).to_have_text("<b>broche</b>")
        await expect(card).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(mill.locator(".provenance:popover-open")).to_have_count(0)
        assert complaints == []


async def test_a_lost_connection_is_said_and_mended(page: Page) -> None:
    """When the server goes the page says so, and is live again by itself when the server is back."""
    seeded = seeded_plant()
    async with served(seeded) as (address, _):
        await page.goto(address)
        await expect(page.locator("#link-state")).to_have_text("En direct")
    await expect(page.locator("#link-state")).to_have_text("Connexion perdue, nouvel essai…")
    config = CONFIG.model_copy(update={"port": urlsplit(address).port})
    async with served(replace(seeded, context=replace(seeded.context, config=config))):
        await expect(page.locator("#link-state")).to_have_text("En direct", timeout=15_000)


async def test_nothing_sticks_out(page: Page) -> None:
    """On a phone, a tablet, a desk and a wall the page is no wider than the screen."""
    async with served(seeded_plant()) as (address, _):
        await page.goto(address)
        for width in (320, 390, 768, 1024, 1280, 1920, 3840):
            await page.set_viewport_size({"width": width, "height": 844})
            assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_the_keyboard_reaches_every_figure(page: Page) -> None:
    """Tab leads from the skip link to the figures, and Enter opens how a figure was made."""
    async with served(seeded_plant()) as (address, _):
        await page.goto(address)
        await page.keyboard.press("Tab")
        await expect(page.locator(".skip")).to_be_focused()
        for _ in range(30):
            await page.keyboard.press("Tab")
            if await page.evaluate("document.activeElement.classList.contains('figure')"):
                break
        await page.keyboard.press("Enter")
        await expect(page.locator(".provenance:popover-open")).to_be_visible()
