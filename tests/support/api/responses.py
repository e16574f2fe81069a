"""GET requests to the API that assert the kind of the response."""

from typing import Any

import httpx2


async def get(api: httpx2.AsyncClient, path: str, /, **query: Any) -> dict[str, Any]:
    """Return the body of a successful response."""
    response = await api.get(path, params=query)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    assert body["success"] is True
    return body


async def get_ids(api: httpx2.AsyncClient, path: str, /, **query: Any) -> list[int]:
    """Return the ids of a list or a page."""
    body = await get(api, path, **query)
    assert body["count"] == len(body["data"])
    return [entity["id"] for entity in body["data"]]


async def get_error(api: httpx2.AsyncClient, path: str, expected: int, /, **query: Any) -> dict[str, Any]:
    """Return the body of an error response with the expected status."""
    response = await api.get(path, params=query)
    assert response.status_code == expected, response.text
    body: dict[str, Any] = response.json()
    assert body["success"] is False
    assert body["request_id"] == response.headers["x-request-id"]
    return body


async def get_invalid_fields(api: httpx2.AsyncClient, path: str, /, **query: Any) -> list[str]:
    """Return the fields that a 400 response names."""
    body = await get_error(api, path, 400, **query)
    assert all(detail["message"] and detail["field"] in body["error"] for detail in body["details"])
    return [detail["field"] for detail in body["details"]]
