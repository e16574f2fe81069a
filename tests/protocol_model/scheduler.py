"""Runs a world through one random history, and then until all is quiet."""

from collections.abc import Callable, Iterable
from random import Random
from typing import TypeVar

from tests.protocol_model.elasticsearch import DELETIONS_REMEMBERED, Violation
from tests.protocol_model.fault_profile import Weather, draw
from tests.protocol_model.postgres import State
from tests.protocol_model.protocol import PROTOCOL, Rules
from tests.protocol_model.rebuilds import rebuilder, reindex
from tests.protocol_model.simulation import STALLED_AFTER, Steps, World
from tests.protocol_model.workers import worker
from tests.protocol_model.writers import writer

MOMENTS = 300
BURSTS = (1, 1, 2, 5)
STEPS_UNTIL_QUIET = 5000

Item = TypeVar("Item")
Process = Callable[[World, str], Steps]


def run(seed: int, rules: Rules = PROTOCOL, weather: Weather | None = None, *, watched: bool = True) -> World:
    """Raises Violation."""
    history = History(seed, rules, weather, watched=watched)
    history.run()
    return history.world


class History:
    def __init__(self, seed: int, rules: Rules, weather: Weather | None, *, watched: bool) -> None:
        random = Random(seed)
        weather = weather or draw(random)
        self.world = World(random, rules, weather, watched=watched)
        self._programs: dict[str, Process] = {
            **{f"worker {number}": worker for number in range(weather.workers)},
            **{f"writer {number}": writer for number in range(weather.writers)},
            **{f"rebuilder {number}": rebuilder for number in range(weather.rebuilders)},
        }
        self._running = {name: program(self.world, name) for name, program in self._programs.items()}
        self._events: dict[Callable[[], None], float] = {
            self._step: 100.0,
            self._deliver: weather.deliver,
            self._hold: weather.hold,
            self._kill: weather.kill,
            self._let_time_pass: weather.time_passes,
            self._let_long_time_pass: weather.long_time_passes,
        }
        self._held: dict[object, int] = {}
        """Processes and requests that stand still, and up to which moment."""
        self._moment = 0
        self._ending = False

    def run(self) -> None:
        """Raises Violation."""
        events = self.world.random.choices(list(self._events), list(self._events.values()), k=MOMENTS)
        for self._moment, event in enumerate(events):
            event()
        self._held.clear()
        self._ending = True
        self._come_to_rest()

    def _step(self) -> None:
        self._go_on(self._running)

    def _go_on(self, names: Iterable[str]) -> None:
        """One of the processes, a step or several."""
        if name := self._any_of(names):
            try:
                for _ in range(self.world.random.choice(BURSTS)):
                    next(self._running[name])
            except StopIteration:
                del self._running[name]

    def _deliver(self) -> None:
        if request := self._any_of(self.world.under_way):
            self.world.deliver(request, faults=not self._ending)

    def _hold(self) -> None:
        if held := self._any_of((*self._running, *self.world.under_way)):
            self._held[held] = self._moment + self.world.random.randint(10, 100)

    def _any_of(self, candidates: Iterable[Item]) -> Item | None:
        free = [candidate for candidate in candidates if self._held.get(candidate, 0) <= self._moment]
        return self.world.random.choice(free) if free else None

    def _kill(self) -> None:
        """kill -9; writers are gone for good, the others are started again."""
        name = self.world.random.choice(list(self._running))
        self._running.pop(name).close()
        self.world.postgres.hang_up(name)
        self.world.seen["killed"] += 1
        if self._programs[name] is not writer:
            self._running[name] = self._programs[name](self.world, name)

    def _let_time_pass(self) -> None:
        self.world.let_time_pass(self.world.random.randint(1, STALLED_AFTER - 1))

    def _let_long_time_pass(self) -> None:
        self.world.let_time_pass(2 * DELETIONS_REMEMBERED)

    def _come_to_rest(self) -> None:
        """Nothing dies or fails any more, and what is under way arrives; then a reindex must find nothing amiss."""
        self._go_on_until_quiet()
        self._running["rebuilder"] = reindex(self.world, "rebuilder")
        self._go_on_until_quiet()
        targets = self.world.postgres.targets
        if targets.keys() != self.world.indices.keys() or targets.get(self.world.alias) is not State.LIVE:
            raise Violation(f"{sorted(self.world.indices)} with {targets}, and {self.world.alias} in use")

    def _go_on_until_quiet(self) -> None:
        for _ in range(STEPS_UNTIL_QUIET):
            busy = [name for name in self._running if name not in self.world.idle]
            if not busy and not self.world.under_way and not self.world.postgres.outbox:
                self.world.check()
                return
            if self.world.random.random() < 0.8:
                self._go_on(busy or self._running)
            else:
                self._deliver()
        raise Violation("never comes to rest")
