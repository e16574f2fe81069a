"""The command line of one Elasticsearch node."""

from pathlib import Path

HEAP = "512m"

# The JVM options of the official distribution, as far as a single small node needs them.
_OPTIONS = [
    f"-Xms{HEAP}",
    f"-Xmx{HEAP}",
    "-Xss1m",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-OmitStackTraceInFastThrow",
    "-Djava.awt.headless=true",
    "-Dfile.encoding=UTF-8",
    "-Djava.locale.providers=CLDR",
    "-Dio.netty.noUnsafe=true",
    "-Dio.netty.noKeySetOptimization=true",
    "-Dio.netty.recycler.maxCapacityPerThread=0",
    "-Dlog4j.shutdownHookEnabled=false",
    "-Dlog4j2.disable.jmx=true",
    "-Dlog4j2.formatMsgNoLookups=true",
    "--enable-native-access=ALL-UNNAMED",
]


def java(home: Path) -> Path:
    """Return the Java program of a home."""
    return home / "jre" / "bin" / "java"


def class_cache(home: Path) -> Path:
    """Return the file of the class cache, which may not exist yet."""
    return home / "classes.aot"


def class_path(home: Path) -> str:
    return ":".join(str(jar) for jar in sorted((home / "lib").glob("*.jar")))


def node_command(home: Path, folder: Path, port: int, *java_options: str) -> list[str]:
    """Return the command of a node with its data in `folder` and its log on stdout."""
    settings = {
        "path.home": home,
        "path.data": folder / "data",
        "path.logs": folder,
        "cluster.name": "smarttrip",
        "node.name": "smarttrip",
        "discovery.type": "single-node",
        "network.host": "127.0.0.1",
        "http.port": port,
        # No other node joins: any port will do.
        "transport.port": 0,
        # Otherwise a nearly full disk makes the indices read-only.
        "cluster.routing.allocation.disk.threshold_enabled": "false",
    }
    return [
        str(java(home)),
        *_OPTIONS,
        f"-Djava.io.tmpdir={folder}",
        f"-Des.path.home={home}",
        *java_options,
        "-Xlog:aot=off",
        "-Xlog:aot+codecache+stubs=off",
        "-cp",
        class_path(home),
        "EsNode",
        *(f"{name}={value}" for name, value in settings.items()),
    ]
