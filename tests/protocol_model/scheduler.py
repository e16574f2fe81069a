"""Run the simulation through one random schedule, and then until nothing is left to do."""

from collections.abc import Callable, Iterable
from random import Random
from typing import TypeVar

from tests.protocol_model.elasticsearch import GC_DELETES, Violation
from tests.protocol_model.fault_profile import FaultProfile, random_profile
from tests.protocol_model.postgres import State
from tests.protocol_model.protocol import PROTOCOL, Rules
from tests.protocol_model.rebuilds import rebuilder, reindex
from tests.protocol_model.simulation import STALLED_AFTER, Simulation, Steps
from tests.protocol_model.workers import worker
from tests.protocol_model.writers import writer

EVENTS = 300
BURSTS = (1, 1, 2, 5)
MAX_SETTLE_STEPS = 5000

Item = TypeVar("Item")
Process = Callable[[Simulation, str], Steps]


def run(
    seed: int, rules: Rules = PROTOCOL, profile: FaultProfile | None = None, *, continuous_checks: bool = True
) -> Simulation:
    """Run the schedule of this seed. Raises: Violation."""
    schedule = Schedule(seed, rules, profile, continuous_checks=continuous_checks)
    schedule.run()
    return schedule.simulation


class Schedule:
    def __init__(self, seed: int, rules: Rules, profile: FaultProfile | None, *, continuous_checks: bool) -> None:
        random = Random(seed)
        profile = profile or random_profile(random)
        self.simulation = Simulation(random, rules, profile, continuous_checks=continuous_checks)
        self._programs: dict[str, Process] = {
            **{f"worker {number}": worker for number in range(profile.workers)},
            **{f"writer {number}": writer for number in range(profile.writers)},
            **{f"rebuilder {number}": rebuilder for number in range(profile.rebuilders)},
        }
        self._running = {name: program(self.simulation, name) for name, program in self._programs.items()}
        self._events: dict[Callable[[], None], float] = {
            self._step: 100.0,
            self._deliver: profile.deliver,
            self._suspend: profile.hold,
            self._kill: profile.kill,
            self._delay: profile.short_delay,
            self._delay_long: profile.long_delay,
        }
        self._suspended: dict[object, int] = {}
        """Processes and requests that are suspended, and until which event."""
        self._event_number = 0
        self._is_settling = False

    def run(self) -> None:
        """Run the schedule. Raises: Violation."""
        events = self.simulation.random.choices(list(self._events), list(self._events.values()), k=EVENTS)
        for self._event_number, event in enumerate(events):
            event()
        self._suspended.clear()
        self._is_settling = True
        self._settle()

    def _step(self) -> None:
        self._advance(self._running)

    def _advance(self, names: Iterable[str]) -> None:
        """Advance one of the processes by one step or several."""
        if name := self._any_of(names):
            try:
                for _ in range(self.simulation.random.choice(BURSTS)):
                    next(self._running[name])
            except StopIteration:
                del self._running[name]

    def _deliver(self) -> None:
        if request := self._any_of(self.simulation.in_flight):
            self.simulation.deliver(request, faults=not self._is_settling)

    def _suspend(self) -> None:
        if suspended := self._any_of((*self._running, *self.simulation.in_flight)):
            self._suspended[suspended] = self._event_number + self.simulation.random.randint(10, 100)

    def _any_of(self, candidates: Iterable[Item]) -> Item | None:
        free = [candidate for candidate in candidates if self._suspended.get(candidate, 0) <= self._event_number]
        return self.simulation.random.choice(free) if free else None

    def _kill(self) -> None:
        """Kill a process; all but writers are restarted."""
        name = self.simulation.random.choice(list(self._running))
        self._running.pop(name).close()
        self.simulation.postgres.disconnect(name)
        self.simulation.seen["killed"] += 1
        if self._programs[name] is not writer:
            self._running[name] = self._programs[name](self.simulation, name)

    def _delay(self) -> None:
        self.simulation.advance_time(self.simulation.random.randint(1, STALLED_AFTER - 1))

    def _delay_long(self) -> None:
        self.simulation.advance_time(2 * GC_DELETES)

    def _settle(self) -> None:
        """Run without faults until all requests have arrived, and assert that a reindex leaves a consistent state."""
        self._run_until_quiet()
        self._running["rebuilder"] = reindex(self.simulation, "rebuilder")
        self._run_until_quiet()
        targets = self.simulation.postgres.targets
        if targets.keys() != self.simulation.indices.keys() or targets.get(self.simulation.alias) is not State.LIVE:
            raise Violation(
                f"{sorted(self.simulation.indices)} with {targets}, and the alias at {self.simulation.alias}"
            )

    def _run_until_quiet(self) -> None:
        for _ in range(MAX_SETTLE_STEPS):
            busy = [name for name in self._running if name not in self.simulation.idle]
            if not busy and not self.simulation.in_flight and not self.simulation.postgres.outbox:
                self.simulation.check()
                return
            if self.simulation.random.random() < 0.8:
                self._advance(busy or self._running)
            else:
                self._deliver()
        raise Violation("the processes never finish")
