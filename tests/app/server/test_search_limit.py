"""The limit of searches, against simulated servers of any capacity and distance."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from app.server.search_limit import REFRESH_LATENCIES, SearchLimit, SearchTuning, rule_out_search
from tests.app.server.simulated_server import SimulatedServer, Simulation

TUNING = SearchTuning()
SETTLING = 1.5
"""Seconds after which the limit has found a flood, and the time in which what was admitted until then is finished."""
SECONDS = 4.0
NOISE = 1.5
"""Factor by which a count of few searches may be wrong."""

simulated = settings(deadline=None, max_examples=25)
"""Some seconds of many searches are simulated in each example."""

workers = st.integers(1, TUNING.few)
"""With more of them, a server idles in part while its latency is measured: see decision 42."""
capacities = st.floats(40, 2000)
befores = st.just(0.0) | st.floats(0.0005, 0.03)
"""Seconds between the admission of a request and its search."""
loads = st.floats(1.2, 12)
"""Offered searches, in multiples of the capacity."""


def make_server(workers: int, capacity: float, delay: float = 0.0) -> SimulatedServer:
    return SimulatedServer(workers, workers / capacity, delay)


def most_in_flight(simulation: Simulation) -> float:
    """Return how many searches the limit may admit once it is found."""
    server = simulation.server
    busy = max(server.workers, TUNING.few) + simulation.before * server.capacity
    return NOISE * max(TUNING.lowest, TUNING.gain * busy)


def refresh_seconds(simulation: Simulation) -> float:
    """Return the time between two measurements of the latency in a flood, each of which costs some searches."""
    server = simulation.server
    return max(TUNING.refresh_seconds, REFRESH_LATENCIES * (simulation.before + server.delay + server.work))


def flooded(simulation: Simulation, load: float) -> None:
    """Check that a flood is answered at capacity, and that nobody waits longer than the limit says."""
    server = simulation.server
    simulation.run(load * server.capacity, SETTLING + TUNING.burst / server.capacity)
    seconds = max(SECONDS, refresh_seconds(simulation))
    counts = simulation.run(load * server.capacity, seconds)
    assert len(counts.latencies) > 0.9 * server.capacity * seconds
    longest = sorted(counts.latencies)[int(0.95 * len(counts.latencies))]
    assert longest <= most_in_flight(simulation) / server.capacity


@simulated
@given(workers, capacities, loads, befores)
def test_flood_is_answered_at_capacity_and_without_a_queue(
    workers: int, capacity: float, load: float, before: float
) -> None:
    flooded(Simulation(make_server(workers, capacity), before=before), load)


@simulated
@given(workers, st.lists(capacities, min_size=2, max_size=4), loads)
def test_limit_follows_the_capacity(workers: int, capacities: list[float], load: float) -> None:
    simulation = Simulation(make_server(workers, capacities[0]))
    for before, after in pairwise(capacities):
        flooded(simulation, load)
        # What is left of the faster server's searches is worked off first.
        known_until = refresh_seconds(simulation)
        simulation.server.work *= before / after
        simulation.run(load * simulation.server.capacity, known_until)
    flooded(simulation, load)


@simulated
@given(workers, capacities, st.floats(0.05, 0.7), st.floats(0, 0.3), befores)
def test_nothing_is_refused_within_the_capacity_however_far_the_server_is(
    workers: int, capacity: float, load: float, delay: float, before: float
) -> None:
    rate = min(load * capacity, 0.9 * TUNING.burst / (before + delay + workers / capacity))
    simulation = Simulation(make_server(workers, capacity, delay), before=before)
    # The first searches tell how far it is.
    simulation.run(rate, 2 * SECONDS)
    assert simulation.run(rate, SECONDS).refused == 0


@simulated
@given(workers, capacities, loads)
def test_all_is_normal_a_second_after_a_flood(workers: int, capacity: float, load: float) -> None:
    simulation = Simulation(make_server(workers, capacity))
    simulation.run(load * capacity, SECONDS)
    simulation.run(capacity / 2, 1.0)
    assert simulation.run(capacity / 2, SECONDS).refused == 0


@simulated
@given(st.floats(20, 100), st.floats(0.05, 0.3))
def test_server_that_becomes_slow_but_not_busy_has_nothing_refused_after_some_seconds(
    rate: float, delay: float
) -> None:
    rate = min(rate, 0.9 * TUNING.burst / delay)
    simulation = Simulation(make_server(8, 2000))
    simulation.run(rate, SECONDS)
    simulation.server.delay = delay
    simulation.run(rate, 2 * SECONDS)
    assert simulation.run(rate, SECONDS).refused == 0


@simulated
@given(st.integers(TUNING.lowest, TUNING.burst), st.floats(0.05, 1.0), st.floats(0.3, 1.0), loads)
def test_searches_whose_requests_are_answered_from_elsewhere_take_places(
    workers: int, work: float, patience: float, load: float
) -> None:
    """Otherwise more are under way than the limit says, and none is measured that has few others beside it.

    The server then finished a twelfth of what it can. Slow searches of many workers have had 0.7 of it.
    """
    server = SimulatedServer(workers, work)
    simulation = Simulation(server, patience=patience * work)
    offered = load * server.capacity
    simulation.run(offered, 2 * refresh_seconds(simulation))
    counts = simulation.run(offered, refresh_seconds(simulation))
    assert len(counts.latencies) > 0.5 * server.capacity * refresh_seconds(simulation)


@simulated
@given(workers, capacities, st.integers(2, TUNING.burst))
def test_burst_is_admitted(workers: int, capacity: float, number: int) -> None:
    simulation = Simulation(make_server(workers, capacity))
    simulation.run(capacity / 10, SECONDS)
    counts = simulation.run(1e6, number / 1e6)
    assert counts.refused == 0


@simulated
@given(workers, capacities, befores, st.floats(0, 2 * SECONDS), st.integers(TUNING.burst, 10 * TUNING.highest))
def test_flood_that_meets_a_quiet_process_is_a_burst(
    workers: int, capacity: float, before: float, quiet: float, number: int
) -> None:
    simulation = Simulation(make_server(workers, capacity), before=before)
    simulation.run(capacity / 2, SECONDS)
    simulation.run(0.0, quiet)
    counts = simulation.run(1e7, number / 1e7)
    assert counts.offered - counts.refused <= max(TUNING.burst, most_in_flight(simulation))


def test_requests_that_wait_for_the_search_of_another_are_not_refused() -> None:
    limit = SearchLimit(clock=lambda: 10.0)
    for _ in range(10 * TUNING.highest):
        assert limit.can_admit()
        with limit.begin().as_current():
            rule_out_search()


def test_crowd_ends_when_few_search() -> None:
    """Although as many requests as before are in flight."""
    now = 0.0
    limit = SearchLimit(clock=lambda: now)
    requests = [limit.begin() for _ in range(TUNING.lowest)]
    assert limit.can_admit()
    for request in requests:
        request.decide()
    assert limit.can_admit()
    requests = [limit.begin() for _ in range(TUNING.lowest)]
    now = 10 * TUNING.standing_seconds
    with limit.measure():
        pass
    assert limit.can_admit()


def test_server_that_finishes_nothing_gets_as_many_as_connections_allow() -> None:
    """Probes find out whether it stalls."""
    simulation = Simulation(make_server(4, 400))
    simulation.run(200, 1.0)
    simulation.server.work = 1000.0
    counts = simulation.run(200, 2.0)
    assert counts.offered - counts.refused in range(TUNING.highest - TUNING.lowest, TUNING.highest + 1)
