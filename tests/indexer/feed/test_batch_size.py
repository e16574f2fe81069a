"""Batches grow while changes pile up, and shrink where they take long, fail, or find little."""

import pytest

from indexer.feed.batch_size import LARGEST_FACTOR, LONG_SECONDS, SHORT_SECONDS, BatchSize
from indexer.index.outbox import DEFAULT_LIMITS, DIRECT, FANNED_OUT, LANES, BatchLimits

SHORT, MEDIUM, LONG = SHORT_SECONDS / 2, (SHORT_SECONDS + LONG_SECONDS) / 2, LONG_SECONDS * 2


def departures(lane: int, limits: BatchLimits) -> int:
    return limits.fan_out if lane == FANNED_OUT else limits.oldest


def grown(lane: int) -> BatchSize:
    size = BatchSize(lane, DEFAULT_LIMITS)
    for _ in range(10):
        size.adapt(departures(lane, size.limits), SHORT)
    return size


@pytest.mark.parametrize("lane", LANES)
def test_first_batch_has_the_usual_limits(lane: int) -> None:
    assert BatchSize(lane, DEFAULT_LIMITS).limits == DEFAULT_LIMITS


@pytest.mark.parametrize("lane", [DIRECT, FANNED_OUT])
def test_full_short_batches_grow_up_to_a_limit(lane: int) -> None:
    size = BatchSize(lane, DEFAULT_LIMITS)
    usual = departures(lane, DEFAULT_LIMITS)
    size.adapt(usual, SHORT)
    assert departures(lane, size.limits) == 2 * usual
    assert departures(lane, grown(lane).limits) == LARGEST_FACTOR * usual


@pytest.mark.parametrize("lane", [DIRECT, FANNED_OUT])
def test_share_of_single_changes_and_of_upstream_changes_stays(lane: int) -> None:
    limits = grown(lane).limits
    assert (limits.newest, limits.upstream) == (DEFAULT_LIMITS.newest, DEFAULT_LIMITS.upstream)


@pytest.mark.parametrize("lane", [DIRECT, FANNED_OUT])
def test_batch_that_takes_long_is_followed_by_a_smaller_one(lane: int) -> None:
    size = grown(lane)
    size.adapt(departures(lane, size.limits), MEDIUM)
    assert size.factor == LARGEST_FACTOR
    size.adapt(departures(lane, size.limits), LONG)
    assert size.factor == LARGEST_FACTOR // 2


@pytest.mark.parametrize("lane", [DIRECT, FANNED_OUT])
def test_batches_that_are_not_full_shrink_to_the_usual_limits(lane: int) -> None:
    size = grown(lane)
    for _ in range(10):
        size.adapt(0, SHORT)
    assert size.limits == DEFAULT_LIMITS


@pytest.mark.parametrize("lane", LANES)
def test_failure_leads_to_usual_limits(lane: int) -> None:
    size = grown(lane)
    size.reset()
    assert size.limits == DEFAULT_LIMITS
