"""Flame graphs: frames as wide as their share of the samples, above what called them."""

from collections import Counter
from collections.abc import Iterable
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from scripts.benchmark.measurements.flame_graph import ROW, SHOWN_SHARE, WIDTH, draw
from scripts.benchmark.measurements.profile_parts import FILES, Stack

SVG = "{http://www.w3.org/2000/svg}"

stacks = st.lists(st.sampled_from(["a (app/cache/a.py)", "b (x.py)", "c<d> (y&z.py)"]), min_size=1, max_size=5).map(
    tuple
)
samples_of_stacks = st.dictionaries(stacks, st.integers(1, 500), min_size=1, max_size=30).map(Counter)


def boxes(svg: str) -> Iterable[tuple[str, float, float, float]]:
    """Yield the name, left edge, top and width of each frame."""
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        title, rectangle = group[0].text, group[1].attrib
        assert title is not None
        yield title.rpartition(":")[0], float(rectangle["x"]), float(rectangle["y"]), float(rectangle["width"])


def frames_with_a_share(samples: Counter[Stack]) -> Counter[tuple[str, ...]]:
    """Return the samples of each frame, by the names that lead to it."""
    counted: Counter[tuple[str, ...]] = Counter()
    for stack, number in samples.items():
        for depth in range(1, len(stack) + 1):
            counted[stack[:depth]] += number
    return counted


@given(samples_of_stacks)
def test_each_frame_is_as_wide_as_its_share(samples: Counter[Stack]) -> None:
    total = samples.total()
    expected = {path: n / total for path, n in frames_with_a_share(samples).items() if n / total >= SHOWN_SHARE}
    drawn = [*boxes(draw(samples, "uncached"))]
    assert sorted((name, width) for name, _, _, width in drawn) == sorted(
        (path[-1], float(f"{share * WIDTH:.1f}")) for path, share in expected.items()
    )


@given(samples_of_stacks)
def test_frames_do_not_overlap_and_lie_on_their_caller(samples: Counter[Stack]) -> None:
    drawn = [*boxes(draw(samples, "uncached"))]
    bottom = max(y for _, _, y, _ in drawn)
    for index, (_, x, y, width) in enumerate(drawn):
        beside = [(left, left + wide) for _, left, top, wide in drawn[:index] if top == y]
        assert all(end <= x + 0.2 for _, end in beside)
        callers = [
            left
            for _, left, top, wide in drawn
            if top == y + ROW and left <= x + 0.1 and x + width <= left + wide + 0.2
        ]
        assert y == bottom or callers


def test_frame_of_an_unknown_file_has_the_colour_of_its_caller() -> None:
    svg = draw(Counter({("find (app/cache/a.py)", "loads (json.py)"): 1}), "cached")
    fills = [group[1].attrib["fill"] for group in ElementTree.fromstring(svg).iter(f"{SVG}g")]
    assert len(fills) == 2
    assert fills[0] == fills[1]


def test_legend_names_the_parts_that_are_drawn() -> None:
    svg = draw(Counter({("find (app/cache/a.py)", "send (app/server/protocol.py)"): 1}), "cached, <limits>")
    texts = [text.text for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert "cached, <limits>" in texts
    assert {text for text in texts if text in FILES.values()} == {"cache", "HTTP server"}
