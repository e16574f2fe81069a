"""The protocol keeps its promises in every history that was tried; without any one of its rules it breaks some."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.protocol_model.elasticsearch import Violation
from tests.protocol_model.fault_profile import CALM, Weather
from tests.protocol_model.protocol import PROTOCOL, Rules
from tests.protocol_model.scheduler import run

PARTS = 20
HISTORIES = 1000
"""In each part."""

REBUILDING = replace(CALM, rebuilders=1)

LEFT_OUT = {
    "outbox": CALM,
    "rows_leave_by_id": replace(CALM, writers=2),
    "rows_stay_until_written": replace(CALM, kill=3.0),
    "version_before_reading": CALM,
    "writes_have_versions": CALM,
    "deletions_have_versions": CALM,
    "deletions_outlive_writes": replace(CALM, time_passes=2.0, long_time_passes=2.0),
    "tables_stay_until_written": replace(CALM, truncating=0.3),
    "fan_outs_keep_their_place": CALM,
    "batches_write_to_all": REBUILDING,
    "old_readings_are_not_written": replace(CALM, long_time_passes=4.0),
    "alias_decides": replace(CALM, workers=1, rebuilders=2, kill=5.0),
}
"""Rules, and the weather in which it shows soon that they are missing."""

HAPPENS = {
    "settled",
    "reindexed",
    "rolled back",
    "turned away",
    "abandoned",
    "dropped",
    "stalled",
    "killed",
    "timed out",
    "doubled",
}


def explore(
    seeds: range, rules: Rules = PROTOCOL, weather: Weather | None = None, *, watched: bool = True
) -> Counter[str]:
    """How often what happened. Raises Violation, which names the seed."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        try:
            seen += run(seed, rules, weather, watched=watched).seen
        except Violation as violation:
            raise Violation(f"seed {seed}: {violation}") from violation
    return seen


@pytest.mark.parametrize("part", range(PARTS))
def test_no_history_breaks_a_promise(part: int) -> None:
    seen = explore(range(part * HISTORIES, (part + 1) * HISTORIES))
    assert seen.keys() == HAPPENS


@pytest.mark.parametrize("rule", LEFT_OUT)
def test_without_any_of_its_rules_some_history_breaks_a_promise(rule: str) -> None:
    with pytest.raises(Violation):
        explore(range(3000), replace(PROTOCOL, **{rule: False}), LEFT_OUT[rule])


def test_the_comparison_catches_a_reindex_that_began_too_early() -> None:
    """Batches that don't know the new index yet leave changes out of it."""
    rules = replace(PROTOCOL, targets_are_announced=False)
    assert explore(range(2000), rules, REBUILDING)["different"] > 0
    with pytest.raises(Violation):
        explore(range(2000), replace(rules, differences_forbid_the_swap=False), REBUILDING)
