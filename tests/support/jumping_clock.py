"""Run `smarttrip` with a wall clock that jumps: `python -m tests.support.jumping_clock COMMAND...`.

SIGUSR1 sets it ahead by an hour, SIGUSR2 back.
"""

import signal
from datetime import UTC, datetime
from types import FrameType

import time_machine

from tests.support import patient_cli

JUMP_SECONDS = 3600
JUMPS = {signal.SIGUSR1: JUMP_SECONDS, signal.SIGUSR2: -JUMP_SECONDS}


def run() -> None:
    with time_machine.travel(datetime.now(UTC), tick=True) as clock:

        def jump(number: int, frame: FrameType | None) -> None:
            clock.shift(JUMPS[signal.Signals(number)])

        for number in JUMPS:
            signal.signal(number, jump)
        patient_cli.run()


if __name__ == "__main__":
    run()
