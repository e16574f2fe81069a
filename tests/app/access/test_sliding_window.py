"""Sliding windows: what remains of them, and how long a request waits."""

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from app.access.sliding_window import RateLimitResult, SlidingWindow
from tests.support.sliding_windows import advance, windows


@given(windows())
def test_request_fits_if_and_only_if_some_remain(window: SlidingWindow) -> None:
    assert (window.remaining >= 1) == (window.wait == 0)


@given(windows())
def test_request_fits_after_the_wait(window: SlidingWindow) -> None:
    assert advance(window, ceil(window.wait)).remaining >= 1


@given(windows())
def test_no_request_fits_before_the_wait(window: SlidingWindow) -> None:
    if window.wait > 0.002:
        assert advance(window, window.wait - 0.001).remaining == 0


@given(st.lists(windows(), min_size=1, max_size=3))
def test_retry_after_satisfies_every_window(several: list[SlidingWindow]) -> None:
    result = RateLimitResult(allowed=False, windows=several)
    assert all(advance(window, result.retry_after).remaining >= 1 for window in several)
