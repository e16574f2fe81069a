"""For operators: is the process alive, can it do its job."""

from starlette.responses import Response

from app.answers import json_response
from app.endpoints import Endpoint
from app.lifespan import ApiRequest
from schemas.answers import Alive


async def livez(request: ApiRequest) -> Response:
    return json_response({"status": "ok"})


async def readyz(request: ApiRequest) -> Response:
    await request.state["readiness"].check()
    return json_response({"status": "ok"})


ENDPOINTS = (
    Endpoint(method="GET", path="/livez", handler=livez, summary="Alive", tag="system", answer=Alive),
    Endpoint(method="GET", path="/readyz", handler=readyz, summary="Ready", tag="system", answer=Alive, errors=(503,)),
)
