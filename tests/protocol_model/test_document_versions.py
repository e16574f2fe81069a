"""While two document versions are in use, readers of both find every change; each rule is needed for that."""

from collections import Counter
from dataclasses import fields, replace

import pytest

from tests.protocol_model.document_versions import VersionRules, run
from tests.protocol_model.elasticsearch import Violation

SCHEDULES = 500
EXPECTED_EVENTS = {"copied", "killed", "built for 1", "built for 2"}


def explore(rules: VersionRules) -> Counter[str]:
    seen: Counter[str] = Counter()
    for seed in range(SCHEDULES):
        try:
            seen += run(seed, rules)
        except Violation as violation:
            raise Violation(f"seed {seed}: {violation}") from violation
    return seen


def test_readers_of_both_versions_find_every_change() -> None:
    assert explore(VersionRules()).keys() == EXPECTED_EVENTS


@pytest.mark.parametrize("rule", [rule.name for rule in fields(VersionRules)])
def test_every_rule_is_needed_for_both_versions(rule: str) -> None:
    with pytest.raises(Violation):
        explore(replace(VersionRules(), **{rule: False}))
