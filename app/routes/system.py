"""For operators: is the process alive, can it do its job."""

from elastic_transport import TransportError
from starlette.responses import Response

from app.answers import json_response
from app.endpoints import Endpoint
from app.errors import ApiError, unavailable
from app.lifespan import ApiRequest
from schemas.answers import Alive


async def livez(request: ApiRequest) -> Response:
    return json_response({"status": "ok"})


async def readyz(request: ApiRequest) -> Response:
    """Ready once the alias answers: recommendations are the job."""
    state = request.state
    try:
        index_exists = await state["elasticsearch"].indices.exists_alias(name=state["settings"].elasticsearch_alias)
    except TransportError:
        raise unavailable("the search index") from None
    if not index_exists:
        raise ApiError(503, "no_index", "The search index has not been built yet.", headers={"Retry-After": "2"})
    return json_response({"status": "ok"})


ENDPOINTS = (
    Endpoint(method="GET", path="/livez", handler=livez, summary="Alive", tag="system", answer=Alive),
    Endpoint(method="GET", path="/readyz", handler=readyz, summary="Ready", tag="system", answer=Alive, errors=(503,)),
)
