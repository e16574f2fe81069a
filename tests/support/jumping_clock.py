"""Run `smarttrip` with a wall clock that jumps: `python -m tests.support.jumping_clock COMMAND...`.

SIGUSR1 sets it ahead by JUMP_DAYS, SIGUSR2 back.
"""

import signal
from datetime import UTC, datetime, timedelta
from types import FrameType

import time_machine

from scripts.cli import main

JUMP_DAYS = 400
AHEAD, BACK = signal.SIGUSR1, signal.SIGUSR2
JUMPS = {AHEAD: timedelta(days=JUMP_DAYS), BACK: -timedelta(days=JUMP_DAYS)}


def run() -> None:
    with time_machine.travel(datetime.now(UTC), tick=True) as clock:

        def jump(number: int, frame: FrameType | None) -> None:
            clock.shift(JUMPS[signal.Signals(number)])

        for number in JUMPS:
            signal.signal(number, jump)
        main()


if __name__ == "__main__":
    run()
