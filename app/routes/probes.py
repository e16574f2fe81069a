"""For operators: is the process alive, can it do its job."""

from starlette.responses import Response

from app.endpoints.endpoint import Endpoint
from app.http.raw_response import JSON
from app.lifespan import ApiRequest
from schemas.api.errors import Alive

OK = b'{"status":"ok"}'


async def livez(request: ApiRequest) -> Response:
    return Response(OK, media_type=JSON)


async def readyz(request: ApiRequest) -> Response:
    await request.state["readiness"].check()
    return Response(OK, media_type=JSON)


ENDPOINTS = (
    Endpoint(method="GET", path="/livez", handler=livez, summary="Alive", tag="system", answer=Alive),
    Endpoint(method="GET", path="/readyz", handler=readyz, summary="Ready", tag="system", answer=Alive, errors=(503,)),
)
