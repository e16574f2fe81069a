import re

import httpx2
import pytest

FILES = {
    "/docs/docs.js": "text/javascript",
    "/docs/docs.css": "text/css",
    "/docs/swagger-ui.css": "text/css",
    "/docs/swagger-ui-bundle.js": "text/javascript",
}


async def test_page_has_a_strict_policy_with_a_nonce_of_its_own(api: httpx2.AsyncClient) -> None:
    first, second = [await api.get("/docs") for _ in range(2)]
    policies = [answer.headers["Content-Security-Policy"] for answer in (first, second)]
    assert policies[0] != policies[1]
    policy = dict(part.strip().split(" ", 1) for part in policies[0].split(";"))
    nonce = re.search(r'nonce="([^"]{20,})"', first.text)
    assert nonce is not None
    assert policy == {
        "default-src": "'none'",
        "script-src": f"'nonce-{nonce[1]}'",
        "style-src": f"'nonce-{nonce[1]}'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert first.headers["Cache-Control"] == "no-store"


async def test_page_loads_only_its_own_files(api: httpx2.AsyncClient) -> None:
    page = (await api.get("/docs")).text
    assert set(re.findall(r'(?:src|href)="([^"]+)"', page)) == FILES.keys() | {"/openapi.json"}
    assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son\w+=", page), "inline code is against the policy"


@pytest.mark.parametrize(("path", "media_type"), FILES.items())
async def test_file_is_sent_compressed_and_revalidated(api: httpx2.AsyncClient, path: str, media_type: str) -> None:
    answer = await api.get(path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, f"{media_type}; charset=utf-8")
    again = await api.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
