from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_OFF,
    DEFAULT_ON,
    Decision,
    ParentBasedTraceIdRatio,
    Sampler,
    StaticSampler,
)

from core.tracing.opentelemetry_tracer import LAST_64_BITS, sampling_bound

SAMPLERS = st.sampled_from([ALWAYS_OFF, ALWAYS_ON, DEFAULT_OFF, DEFAULT_ON]) | st.builds(
    ParentBasedTraceIdRatio, st.sampled_from([0.0, 0.01, 0.5, 1.0]) | st.floats(0, 1)
)


@given(SAMPLERS, st.integers(1, 2**128 - 1))
def test_bound_decides_as_the_sampler_does(sampler: Sampler, trace_id: int) -> None:
    bound = sampling_bound(sampler)
    assert bound is not None
    is_sampled = sampler.should_sample(None, trace_id, "GET").decision is not Decision.DROP
    assert (trace_id & LAST_64_BITS < bound) == is_sampled


def test_other_samplers_are_asked() -> None:
    assert sampling_bound(StaticSampler(Decision.DROP)) is None
