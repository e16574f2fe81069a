"""The steps of the Dockerfile, taken without Docker: its COPY and RUN lines up to the final stages, in a folder."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from core.configuration.settings import Settings
from scripts.dev_stack.ports import free_port
from tests.support.processes import environment, running_process

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
TARGET = "/opt/smarttrip"


def stages() -> dict[str, list[str]]:
    """Return the instructions of each stage by its name; the last one is called `final`."""
    found: dict[str, list[str]] = {}
    for line in re.sub(r"\\\n\s*", "", DOCKERFILE).splitlines():
        if line.startswith("FROM "):
            found[line.rpartition(" AS ")[2] if " AS " in line else "final"] = []
        elif found and line and not line.startswith("#"):
            found[list(found)[-1]].append(line)
    return found


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the image has as /opt/smarttrip, with the packages of `sample`."""
    context, target = tmp_path_factory.mktemp("context"), tmp_path_factory.mktemp("opt") / "smarttrip"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for instruction in (*stages()["build"], *stages()["build-sample"]):
        keyword, _, rest = instruction.partition(" ")
        if keyword == "COPY":
            *sources, folder = rest.split()
            for source in sources:
                copy(ROOT / source, context / folder if (ROOT / source).is_dir() else context / folder / source)
        elif keyword == "RUN":
            subprocess.run(rest.replace(TARGET, str(target)).split(), cwd=context, env={"PATH": path}, check=True)
        else:
            assert keyword in {"ENV", "WORKDIR"}, instruction
    return target


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copyfile(source, target)


def locked(*, here: bool) -> set[str]:
    """Return `name==version` of what the lock file names: all of it, or what is for this interpreter and platform."""
    lines = re.findall(r"^([a-zA-Z0-9].*==.*) \\$", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    required = [Requirement(line) for line in lines]
    return {
        package(one.name, str(one.specifier).removeprefix("=="))
        for one in required
        if not here or one.marker is None or one.marker.evaluate()
    }


def package(name: str, version: str) -> str:
    return f"{canonicalize_name(name)}=={version}"


LISTING = "import importlib.metadata as m; print(*(f'{d.name} {d.version}' for d in m.distributions()), sep='\\n')"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_image_has_exactly_the_locked_packages(image: Path) -> None:
    listed = subprocess.run([image / "bin" / "python", "-c", LISTING], capture_output=True, text=True, check=True)
    installed = {package(*line.split()) for line in listed.stdout.splitlines()}
    assert len(locked(here=True)) > 30
    assert {name.partition("==")[0] for name in installed - locked(here=True)} == {"smarttrip", "babel"}
    assert locked(here=True) <= installed


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_program_of_the_image_serves(image: Path, settings: Settings) -> None:
    """From its own folder: nothing of the checkout is found, as the working directory is another one."""
    port = free_port()
    env = environment(settings, HOST="127.0.0.1", PORT=str(port), PATH=f"{image}/bin", PYTHONDONTWRITEBYTECODE="1")
    async with running_process(final_command(image), env, port=port) as process:
        await process.wait_until_responding()


def final_command(image: Path) -> list[str]:
    """Return the command of the final stage, `smarttrip serve`, in the folder of the image."""
    (command,) = (line.removeprefix("CMD ") for line in stages()["base"] if line.startswith("CMD "))
    program, *options = json.loads(command)
    return [str(image / "bin" / program), *options]


def test_python_of_the_image_is_one_that_tests_run_on() -> None:
    (version,) = set(re.findall(r"^FROM python:([\d.]+)-slim", DOCKERFILE, re.MULTILINE))
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    assert version in workflow["jobs"]["test"]["strategy"]["matrix"]["python"]


def test_final_stages_only_copy() -> None:
    """What compiles and installs stays in the stages that are thrown away."""
    for name in ("sample", "final"):
        assert [line.partition(" ")[0] for line in stages()[name]] == ["COPY"]


def test_image_installs_from_the_lock_files_alone() -> None:
    script = (ROOT / "deploy" / "image" / "install.sh").read_text()
    installs = re.findall(r"^ *pip \S+ install (.*)$", script, re.MULTILINE)
    assert len(installs) == 3
    assert all("--require-hashes" in line or line.startswith("--no-deps") for line in installs)
    runs = [line for lines in stages().values() for line in lines if line.startswith("RUN ")]
    assert [line for line in runs if "install.sh" not in line] == [
        "RUN useradd --system --uid 10001 --no-create-home smarttrip"
    ]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_bill_of_materials_names_every_locked_package(tmp_path: Path) -> None:
    subprocess.run(["make", "sbom", f"SBOM={tmp_path / 'sbom.json'}"], cwd=ROOT, check=True, capture_output=True)
    bill = json.loads((tmp_path / "sbom.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "smarttrip"
    assert {package(part["name"], part["version"]) for part in bill["components"]} == locked(here=False)
