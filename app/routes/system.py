"""For operators: is the process alive, can it do its job."""

from starlette.responses import Response

from app.endpoints import Endpoint
from app.lifespan import ApiRequest
from app.middleware import security_headers
from app.prepared import IS_JSON, Prepared, content_length
from schemas.answers import Alive

OK = b'{"status":"ok"}'
HEADERS = (content_length(len(OK)), IS_JSON, *security_headers.HEADERS)


async def livez(request: ApiRequest) -> Response:
    return Prepared(200, HEADERS, (OK,))


async def readyz(request: ApiRequest) -> Response:
    await request.state["readiness"].check()
    return Prepared(200, HEADERS, (OK,))


ENDPOINTS = (
    Endpoint(method="GET", path="/livez", handler=livez, summary="Alive", tag="system", answer=Alive),
    Endpoint(method="GET", path="/readyz", handler=readyz, summary="Ready", tag="system", answer=Alive, errors=(503,)),
)
