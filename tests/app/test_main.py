import asyncio
import sys

import orjson

from core.configuration.settings import Settings
from tests.support.processes import environment

LOG_FROM_FACTORY = """
import structlog
from app.main import app_from_environment
app_from_environment()
structlog.get_logger().warning("of someone@example.org")
"""


async def test_factory_configures_logs(settings: Settings) -> None:
    """Worker processes and other servers call only the factory; their logs are redacted all the same."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LOG_FROM_FACTORY, env=environment(settings), stderr=asyncio.subprocess.PIPE
    )
    _, log = await process.communicate()
    assert orjson.loads(log)["event"] == "of ***"
