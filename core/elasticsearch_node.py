"""A node of Elasticsearch, for the official client: its requests are timed, and fail if one of several stalls."""

from typing import Any

import structlog
from elastic_transport import AiohttpHttpNode, HttpHeaders, NodeConfig, TransportError
from elastic_transport import ConnectionError as NodeConnectionError
from elastic_transport._node import NodeApiResponse
from elastic_transport.client_utils import DEFAULT, DefaultType

from core.concurrency.stall_detector import ServerStalledError, StallDetector
from core.dependency_calls import Call
from core.tracing import spans
from core.tracing.elasticsearch import response_attributes

log = structlog.get_logger()

PATIENCE_SECONDS = 1.0
"""Seconds that a request waits before its node is probed, and pause between two probes."""
PROBE_SECONDS = 1.25
"""Time that a node has to respond to a probe."""


def elasticsearch_operation(target: str) -> str:
    """Return the API that a path calls, such as `_search`."""
    path = target.partition("?")[0]
    return next((part for part in path.split("/") if part.startswith("_")), "")


class TimedNode(AiohttpHttpNode):
    async def perform_request(  # type: ignore[override]  # as in its own base
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: HttpHeaders | None = None,
        request_timeout: DefaultType | float | None = DEFAULT,
    ) -> NodeApiResponse:
        with Call("elasticsearch", elasticsearch_operation(target)) as span:
            sent = HttpHeaders({**(headers or {}), **spans.outgoing_headers()}) if spans.tracer else headers
            response = await self._request(method, target, body, sent, request_timeout)
            if span.is_recorded:
                span.set(response_attributes(response.meta.status, response.body))
            return response

    async def _request(self, *arguments: Any) -> NodeApiResponse:
        return await super().perform_request(*arguments)


class ClusterNode(TimedNode):
    """One of several: a request to it does not wait for as long as a slow one may take, if the node stalls.

    Its bulk requests may then be sent twice, which their versions make harmless.
    """

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        self._detector = StallDetector(
            self._probe, self._report_stall, patience=PATIENCE_SECONDS, probe_seconds=PROBE_SECONDS
        )

    async def _request(self, *arguments: Any) -> NodeApiResponse:
        """Send a request. Raises: NodeConnectionError, if the node stalls; the client then asks the next node."""
        try:
            async with self._detector.watch():
                return await super()._request(*arguments)
        except ServerStalledError as error:
            raise NodeConnectionError(str(error), errors=(error,)) from None

    async def _probe(self) -> None:
        """Send the smallest request, which any node answers by itself. Raises: OSError."""
        try:
            await super()._request("HEAD", "/")
        except TransportError as error:
            raise OSError(str(error)) from error

    def _report_stall(self, requests: int) -> None:
        log.warning("index_node_stalled", host=self.host, port=self.port, requests=requests)

    async def close(self) -> None:  # type: ignore[override]  # as in its own base
        await self._detector.close()
        await super().close()
