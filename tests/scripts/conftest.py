from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import empty_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with empty_folder() as folder:
        yield folder
