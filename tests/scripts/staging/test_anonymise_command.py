"""`smarttrip anonymise`, as a person at a terminal uses it."""

import json

from core.configuration.settings import Settings
from scripts.errors import ExitCode
from tests.migrations.databases import fetch
from tests.scripts.conftest import InProcess
from tests.support.command import smarttrip
from tests.support.factories import CatalogueFactory
from tests.support.processes import environment


async def test_catalogue_is_copied_once(settings: Settings, catalogue: CatalogueFactory, target_url: str) -> None:
    await catalogue.occurrence()
    command = ("anonymise", "--into", target_url, "--json")
    done = smarttrip(*command, env=environment(settings))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["trip_occurrences"] == 1
    assert await fetch(target_url, "SELECT title FROM trip_templates") == [("lorem ipsu",)]

    again = smarttrip(*command, env=environment(settings))
    assert (again.returncode, again.stdout) == (ExitCode.FAILED, "")
    assert again.stderr.endswith("should be an empty database; its table companies has rows. Nothing was written.\n")


def test_invalid_target_is_wrong_usage(settings: Settings, in_process: InProcess) -> None:
    code, message = in_process(["anonymise", "--into", "mysql://somewhere"], environment(settings))
    assert code == ExitCode.USAGE
    assert "--into" in message
