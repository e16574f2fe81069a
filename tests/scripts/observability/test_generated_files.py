"""The files that are made from code are those that the code makes now."""

import pytest

from scripts.observability.alerts import ROOT
from scripts.observability.generated_files import generated_files

FILES = generated_files()


@pytest.mark.parametrize("path", FILES)
def test_generated_file_is_up_to_date(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == FILES[path], "run `make generate`"
