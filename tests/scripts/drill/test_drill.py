"""The drill itself: every fault, with the promises of the table."""

import json
import logging
import subprocess

import pytest

from scripts.dev_stack.processes import SMARTTRIP
from scripts.drill.faults import FAULTS
from scripts.drill.traffic import RATES
from tests.support.gateway import needs_nginx

log = logging.getLogger(__name__)

SECONDS = 30 * 60
"""Twice as long as on a machine that does nothing else."""


@needs_nginx
@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 60)
def test_no_fault_gives_a_wrong_response_or_loses_anything() -> None:
    """Nor does one fail a request, where the machine has room for the full load: otherwise other tests beside it do."""
    completed = subprocess.run(
        [SMARTTRIP, "drill", "--json"], capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert completed.stdout, completed.stderr
    found = json.loads(completed.stdout)
    log.info("%s searches a second\n%s", found["searches_per_second"], completed.stderr)
    assert [fault["fault"] for fault in found["faults"]] == list(FAULTS)
    assert [fault for fault in found["faults"] if fault["wrong"]] == []
    assert (found["lost_events"], found["lost_changes"], found["differences"]) == (0, 0, 0)
    assert completed.returncode == (0 if found["passed"] else 1)
    if found["searches_per_second"] == RATES[0]:
        assert [fault for fault in found["faults"] if not fault["passed"]] == []
