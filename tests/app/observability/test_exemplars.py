"""Exemplars: the latency of routes leads to traces, where OpenMetrics is asked for."""

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from core.configuration.settings import Settings
from tests.support.api.serving import serving
from tests.support.otlp import Collector

OPEN_METRICS = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.4"}


def exemplified(text: str) -> list[Sample]:
    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return [sample for family in families for sample in family.samples if sample.exemplar is not None]


async def test_latency_has_the_trace_of_a_recorded_request(settings: Settings, collector: Collector) -> None:
    with collector.recording():
        async with serving(settings) as api:
            await api.get("/livez")
            response = await api.get("/metrics", headers=OPEN_METRICS)
            plain = await api.get("/metrics")
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    (sample,) = (sample for sample in exemplified(response.text) if sample.labels["route"] == "/livez")
    assert sample.exemplar is not None
    assert sample.exemplar.labels == {"trace_id": collector.named("GET /livez").trace_id.hex()}
    assert plain.headers["content-type"].startswith("text/plain")
    assert "trace_id" not in plain.text


@pytest.mark.parametrize("sampler", ["always_off", "off"])
async def test_request_that_is_not_recorded_is_no_example(
    settings: Settings, collector: Collector, sampler: str
) -> None:
    variables = {"OTEL_SDK_DISABLED": "true"} if sampler == "off" else {"OTEL_TRACES_SAMPLER": sampler}
    with collector.recording(**variables):
        async with serving(settings) as api:
            await api.get("/readyz")
            text = (await api.get("/metrics", headers=OPEN_METRICS)).text
    assert not [sample for sample in exemplified(text) if sample.labels["route"] == "/readyz"]
