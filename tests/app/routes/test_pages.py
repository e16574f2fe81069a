"""Pages for browsers."""

import re

import httpx2
import pytest

from app.http.pages import TEXTS

NO_PAGE = (
    *("*/*", "application/json", "", "text/plain", "?"),
    *("application/json;q=0.5,text/html;q=0", "text/html;q=0.1,application/json", "text/html;q=x"),
)
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
WRONG = {
    "/no-such-page": 404,
    "/api/countries/999999": 404,
    "/api/v2/templates?limit=0": 400,
    "/api/admin/index": 401,
    "/api/events": 405,
}


async def test_root_is_an_index_of_the_api_for_browsers(api: httpx2.AsyncClient) -> None:
    page = await api.get("/", headers=BROWSER)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    ways = re.findall(r'href="([^"]+)"', page.text)
    assert ways == [path for path, _ in TEXTS["en"].ways]
    for way in ways:
        assert (await api.get(way, headers=BROWSER)).status_code == 200


@pytest.mark.parametrize(("path", "status"), WRONG.items())
async def test_browser_gets_an_error_page_with_a_way_on(api: httpx2.AsyncClient, path: str, status: int) -> None:
    page, body = await api.get(path, headers=BROWSER), (await api.get(path)).json()
    assert (page.status_code, page.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert body["success"] is False
    assert "sha256-" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Request-ID"] in page.text
    assert 'href="/docs"' in page.text


@pytest.mark.parametrize("accept", NO_PAGE)
@pytest.mark.parametrize(("path", "status"), WRONG.items())
async def test_everything_else_gets_json(api: httpx2.AsyncClient, path: str, status: int, accept: str) -> None:
    answer = await api.get(path, headers={"Accept": accept})
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/json")


async def test_error_page_escapes_what_the_client_sent(api: httpx2.AsyncClient) -> None:
    headers = {**BROWSER, "X-Request-ID": "<script>alert(1)</script>"}
    page = await api.get("/api/v2/templates?limit=<script>alert(2)</script>", headers=headers)
    assert page.status_code == 400
    assert "<script>" not in page.text


async def test_icon_and_robots_are_there(api: httpx2.AsyncClient) -> None:
    icon, robots = await api.get("/favicon.ico"), await api.get("/robots.txt")
    assert (icon.status_code, icon.headers["Content-Type"]) == (200, "image/svg+xml")
    assert (robots.status_code, robots.text) == (200, "User-agent: *\nDisallow: /\n")


async def test_pages_speak_the_language_of_the_browser(api: httpx2.AsyncClient) -> None:
    headers = {**BROWSER, "Accept-Language": "he-IL,he;q=0.9,en;q=0.5"}
    for path in ("/", "/no-such-page"):
        page = (await api.get(path, headers=headers)).text
        assert '<html lang="he" dir="rtl">' in page
        assert all(name in page for _, name in TEXTS["he"].ways)
