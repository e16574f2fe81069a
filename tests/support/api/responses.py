"""Asking the API as its clients do."""

from typing import Any

import httpx2


async def get(api: httpx2.AsyncClient, path: str, /, **query: Any) -> dict[str, Any]:
    """The answer, which is a success."""
    response = await api.get(path, params=query)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    assert answer["success"] is True
    return answer


async def ids(api: httpx2.AsyncClient, path: str, /, **query: Any) -> list[int]:
    answer = await get(api, path, **query)
    assert answer["count"] == len(answer["data"])
    return [entity["id"] for entity in answer["data"]]


async def refusal(api: httpx2.AsyncClient, path: str, expected: int, /, **query: Any) -> dict[str, Any]:
    """The answer, which is a failure of this kind, in the shape of all failures."""
    response = await api.get(path, params=query)
    assert response.status_code == expected, response.text
    answer: dict[str, Any] = response.json()
    assert answer["success"] is False
    assert answer["request_id"] == response.headers["x-request-id"]
    return answer


async def wrong_fields(api: httpx2.AsyncClient, path: str, /, **query: Any) -> list[str]:
    answer = await refusal(api, path, 400, **query)
    assert all(detail["message"] and detail["field"] in answer["error"] for detail in answer["details"])
    return [detail["field"] for detail in answer["details"]]
