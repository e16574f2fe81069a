"""Recent refusals: a client is refused without Redis only while Redis would refuse it."""

from collections.abc import Sequence

from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.access.recent_refusals import MAX_CLIENTS, MAX_SECONDS, RecentRefusals
from app.access.sliding_window import RateLimitResult, SlidingWindow
from tests.support.sliding_windows import advance, windows

CLIENT = ("events", "address:192.0.2.1")
FULL = RateLimitResult(False, [SlidingWindow(limit=5, seconds=60, previous=0, current=5, since=10)])

costs = st.integers(1, 20)
moments = st.floats(0, 2 * MAX_SECONDS)


def fits(window: SlidingWindow, cost: int) -> bool:
    """Decide like the script in Redis, whose clock has milliseconds."""
    since = int(window.since * 1000) / 1000
    return window.previous * (1 - since / window.seconds) + window.current + cost <= window.limit


@given(st.lists(windows(), min_size=1, max_size=3), costs, costs, moments)
def test_request_is_refused_only_while_it_does_not_fit(
    several: Sequence[SlidingWindow], cost: int, next_cost: int, seconds: float
) -> None:
    several = [replace(window, cost=cost) for window in several]
    assume(not all(fits(window, cost) for window in several))
    refusals = RecentRefusals()
    refusals.add(CLIENT, cost, 100.0, RateLimitResult(False, several))
    found = refusals.find(CLIENT, next_cost, 100.0 + seconds)
    later = [advance(window, seconds) for window in several]
    if found is not None:
        assert not all(fits(window, next_cost) for window in later)
        assert [(window.previous, window.current) for window in found.windows] == [
            (window.previous, window.current) for window in later
        ]


@given(st.lists(windows(), min_size=1, max_size=3), costs)
def test_request_at_once_is_refused(several: Sequence[SlidingWindow], cost: int) -> None:
    several = [replace(window, cost=cost) for window in several]
    assume(any(window.wait > 0 for window in several))
    refusals = RecentRefusals()
    refusals.add(CLIENT, cost, 100.0, RateLimitResult(False, several))
    found = refusals.find(CLIENT, cost, 100.0)
    assert found is not None
    assert not found.allowed


def test_redis_is_asked_again_after_a_second() -> None:
    refusals = RecentRefusals()
    refusals.add(CLIENT, 1, 100.0, FULL)
    assert refusals.find(CLIENT, 1, 100.0 + MAX_SECONDS - 0.01) is not None
    assert refusals.find(CLIENT, 1, 100.0 + MAX_SECONDS) is None


def test_cheaper_request_and_other_clients_are_not_refused() -> None:
    refusals = RecentRefusals()
    refusals.add(CLIENT, 3, 100.0, FULL)
    assert refusals.find(CLIENT, 2, 100.0) is None
    assert refusals.find(("default", CLIENT[1]), 3, 100.0) is None


def test_retry_after_is_that_of_the_request() -> None:
    refusals = RecentRefusals()
    refusals.add(CLIENT, 1, 100.0, FULL)
    found = refusals.find(CLIENT, 5, 100.5)
    assert found is not None
    window = replace(advance(FULL.windows[0], 0.5), cost=5)
    assert found.retry_after == RateLimitResult(False, [window]).retry_after


def test_refusals_of_many_clients_are_bounded() -> None:
    refusals = RecentRefusals()
    for number in range(MAX_CLIENTS + 1):
        refusals.add(("events", f"address:{number}"), 1, 100.0, FULL)
    known = [number for number in range(MAX_CLIENTS + 1) if refusals.find(("events", f"address:{number}"), 1, 100.0)]
    assert known == [*range(1, MAX_CLIENTS + 1)]
