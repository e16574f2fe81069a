"""The package `requests` is not loaded for a transport that is not used, and is there for others."""

import subprocess
import sys


def run(code: str) -> str:
    """Return what the code prints in a process of its own."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_package_is_hidden_in_the_block_only() -> None:
    code = (
        "from core.elasticsearch_import import hidden_package\n"
        "with hidden_package('requests'):\n"
        "    try: import requests\n"
        "    except ImportError: print('hidden')\n"
        "import requests; print(requests.__name__)\n"
        "with hidden_package('requests'): import requests; print(requests.__name__)\n"
        "import requests; print(requests.__name__)\n"
    )
    assert run(code).split() == ["hidden", *["requests"] * 3]


def test_api_does_not_load_a_transport_that_it_does_not_use() -> None:
    assert run("import app.main, sys; print('requests' in sys.modules)") == "False\n"
