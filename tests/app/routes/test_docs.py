import re

import httpx2
import pytest

FILES = {"/docs": "text/html", "/docs/docs.js": "text/javascript", "/docs/docs.css": "text/css"}


@pytest.mark.parametrize(("path", "media_type"), FILES.items())
async def test_page_has_a_strict_content_security_policy(api: httpx2.AsyncClient, path: str, media_type: str) -> None:
    answer = await api.get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith(media_type)
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


async def test_page_loads_nothing_from_other_hosts(api: httpx2.AsyncClient) -> None:
    page = (await api.get("/docs")).text
    asked_for = set(re.findall(r'(?:src|href)="([^"]+)"', page)) - {"data:,"}
    assert asked_for == {"/docs/docs.js", "/docs/docs.css", "/openapi.json"}
    for path in FILES:
        assert not re.search(r"https?:|[\"'(]//", (await api.get(path)).text)
    assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son\w+=", page), "inline code is against the policy"


async def test_page_never_inserts_responses_as_markup(api: httpx2.AsyncClient) -> None:
    script = (await api.get("/docs/docs.js")).text
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", script)
