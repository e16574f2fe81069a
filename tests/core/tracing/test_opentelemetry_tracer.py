from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Decision, ParentBasedTraceIdRatio

from core.tracing.opentelemetry_tracer import LAST_64_BITS, sampling_bound

RATES = st.sampled_from([0.0, 0.01, 0.5, 1.0]) | st.floats(0, 1)


@given(RATES, st.integers(1, 2**128 - 1))
def test_bound_decides_as_the_sampler_does(rate: float, trace_id: int) -> None:
    sampler = ParentBasedTraceIdRatio(rate)
    bound = sampling_bound(sampler)
    assert bound is not None
    is_sampled = sampler.should_sample(None, trace_id, "GET").decision is not Decision.DROP
    assert (trace_id & LAST_64_BITS < bound) == is_sampled


def test_other_samplers_are_asked() -> None:
    assert sampling_bound(DEFAULT_ON) is None
