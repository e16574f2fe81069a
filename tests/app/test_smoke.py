"""scripts/smoke, with which CI looks whether an installation works."""

import subprocess

from tests.docs.documents import ROOT


def smoke(address: str) -> subprocess.CompletedProcess[str]:
    command = (ROOT / "scripts" / "smoke", address)
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_running_service_passes(address: str) -> None:
    done = smoke(address)
    assert (done.returncode, done.stderr) == (0, "")
