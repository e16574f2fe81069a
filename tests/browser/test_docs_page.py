"""The reference of the API in Chromium."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from tests.browser.chromium import CHROMIUM, Tab, browsing
from tests.support.api.uvicorn_server import uvicorn_serving

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's package chromium")

SHOWN = "document.querySelectorAll('.opblock').length > 30"
SEARCH = "operations-recommendations-post-api-v2-recommendations"
LAST = "operations-admin-post-api-admin-dead-letters-retry"
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}


@pytest.fixture
def address(settings: Settings) -> Iterator[str]:
    with uvicorn_serving(settings) as address:
        yield address


@pytest.fixture
async def tab(tmp_path: Path) -> AsyncIterator[Tab]:
    """Yield a tab, and require that the browser had nothing to complain about."""
    async with browsing(tmp_path / "profile") as tab:
        yield tab
        assert tab.complaints() == []


async def test_page_lists_every_operation_without_a_request_elsewhere(address: str, tab: Tab) -> None:
    await tab.open(f"{address}/docs", SHOWN)
    text = await tab.evaluate("document.body.innerText")
    # The page breaks long paths with invisible spaces.
    text = text.replace("\u200b", "")
    described = [endpoint for endpoint in ENDPOINTS if endpoint.described]
    assert [endpoint.summary for endpoint in described if endpoint.summary not in text] == []
    assert [url for url in tab.requested() if not url.startswith((f"{address}/", "data:"))] == []


@pytest.mark.slow
async def test_deep_link_opens_its_operation_and_scrolls_to_it(address: str, tab: Tab) -> None:
    await tab.open(
        f"{address}/docs#/admin/post-api-admin-dead-letters-retry", f"document.querySelector('#{LAST}.is-open')"
    )
    await tab.wait_for(f"Math.abs(document.getElementById('{LAST}').getBoundingClientRect().top) < innerHeight / 2")
    assert await tab.evaluate("scrollY") > 500


async def test_search_tried_on_the_page_is_answered_and_sends_the_session_as_header(address: str, tab: Tab) -> None:
    header = f"document.querySelector('#{SEARCH} tr[data-param-in=header] input')"
    await tab.open(
        f"{address}/docs#/recommendations/post-api-v2-recommendations",
        f"document.querySelector('#{SEARCH} .execute') && {header}",
    )
    session = "1b671a64-40d5-491e-99b0-da01ff1f3341"
    await tab.evaluate(f"{header}.focus()")
    await tab.call("Input.insertText", text=session)
    # As a click of the mouse would, before the button gets it.
    await tab.evaluate(f"{header}.blur()")
    await tab.evaluate(f"document.querySelector('#{SEARCH} .execute').click()")
    await tab.wait_for(f"document.querySelector('#{SEARCH} .live-responses-table .response-col_status')")
    status = await tab.evaluate(
        f"document.querySelector('#{SEARCH} .live-responses-table tbody .response-col_status').innerText"
    )
    assert status.split()[0] == "200"
    (sent,) = [
        params["request"]
        for method, params in tab.events
        if method == "Network.requestWillBeSent" and params["request"]["method"] == "POST"
    ]
    assert sent["url"] == f"{address}/api/v2/recommendations"
    assert {name.lower(): value for name, value in sent["headers"].items()}["x-session-id"] == session


@pytest.mark.slow
async def test_page_can_be_used_by_keyboard(address: str, tab: Tab) -> None:
    await tab.open(f"{address}/docs", SHOWN)
    await tab.evaluate(f"document.querySelector('#{SEARCH} .opblock-summary-control').focus()")
    for kind in ("keyDown", "keyUp"):
        await tab.call(
            "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r"
        )
    await tab.wait_for(f"document.querySelector('#{SEARCH}.is-open')")


@pytest.mark.slow
async def test_page_is_dark_where_the_system_is(address: str, tab: Tab) -> None:
    for scheme, is_dark in (("dark", True), ("light", False)):
        await tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        await tab.open(f"{address}/docs", SHOWN)
        red = "parseInt(getComputedStyle(document.body).backgroundColor.match(/\\d+/g)[0])"
        assert await tab.evaluate("document.documentElement.classList.contains('dark-mode')") == is_dark
        assert not is_dark or await tab.evaluate(red) < 60


@pytest.mark.slow
async def test_page_fits_a_phone(address: str, tab: Tab) -> None:
    await tab.call("Emulation.setDeviceMetricsOverride", **PHONE)
    await tab.open(
        f"{address}/docs#/recommendations/post-api-v2-recommendations", f"document.querySelector('#{SEARCH}.is-open')"
    )
    assert await tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    narrowest = "Math.min(...[...document.querySelectorAll('.opblock-tag small')].map(text => text.offsetWidth))"
    assert await tab.evaluate(narrowest) > PHONE["width"] / 2
