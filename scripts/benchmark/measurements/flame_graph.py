"""A flame graph as an SVG without scripts: the width of a frame is its share of the samples, its colour its part."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape

from scripts.benchmark.measurements.profile_parts import FILES, OTHER, Stack, part_of_frame

WIDTH = 1200
ROW = 17
"""Height of a frame in pixels."""
LETTER = 6.2
"""Width of a letter in pixels."""
TITLE = 30
"""Height of the title in pixels."""
SHOWN_SHARE = 0.005
"""Share of the samples below which a frame is left out, with all that it calls."""
LEGEND_COLUMNS = 4
GOLDEN_ANGLE = 137.5
"""In degrees: neighbours in the legend differ in hue, however many there are."""
COLOURS = {
    part: f"hsl({index * GOLDEN_ANGLE % 360:.0f}, 65%, 75%)"
    for index, part in enumerate((*dict.fromkeys(FILES.values()), OTHER))
}
"""A part has the same colour in all graphs."""


@dataclass
class Frame:
    """A function, called by the same ones, and what it calls."""

    name: str
    part: str
    samples: int = 0
    called: dict[str, "Frame"] = field(default_factory=dict)

    def call(self, name: str) -> "Frame":
        """Return the frame of a function that this one calls; a file of no part belongs to its caller's."""
        if name not in self.called:
            part = part_of_frame(name)
            self.called[name] = Frame(name, self.part if part == OTHER else part)
        return self.called[name]


@dataclass(frozen=True)
class Box:
    """A frame in its place."""

    frame: Frame
    left: float
    """Share of the samples left of it."""
    share: float
    depth: int


def draw(samples: Counter[Stack], title: str) -> str:
    """Return the SVG of the samples."""
    boxes = [*_place(_call_tree(samples), samples.total())]
    parts = [*dict.fromkeys(box.frame.part for box in boxes)]
    legend = TITLE + ROW * (max((box.depth for box in boxes), default=0) + 2)
    height = legend + ROW * (-(-len(parts) // LEGEND_COLUMNS)) + 6
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="monospace" font-size="11">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{WIDTH / 2}" y="20" font-size="15" text-anchor="middle">{escape(title)}</text>',
        *(_draw_box(box, legend - 2 * ROW) for box in boxes),
        *_draw_legend(parts, legend),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _call_tree(samples: Counter[Stack]) -> Frame:
    root = Frame("", OTHER)
    for stack, number in samples.items():
        frame = root
        for name in stack:
            frame = frame.call(name)
            frame.samples += number
    return root


def _place(caller: Frame, total: int, left: float = 0, depth: int = 0) -> Iterator[Box]:
    """Yield what a frame calls, and what that calls, in the order of their names."""
    for name in sorted(caller.called):
        frame = caller.called[name]
        share = frame.samples / total
        if share >= SHOWN_SHARE:
            yield Box(frame, left, share, depth)
            yield from _place(frame, total, left, depth + 1)
        left += share


def _draw_box(box: Box, bottom: float) -> str:
    x, y, width = box.left * WIDTH, bottom - box.depth * ROW, box.share * WIDTH
    function = box.frame.name.partition(" (")[0]
    letters = int((width - 4) / LETTER)
    shown = function if len(function) <= letters else function[: letters - 1] + "…" if letters > 2 else ""
    label = f'<text x="{x + 2:.1f}" y="{y + 12}">{escape(shown)}</text>' if shown else ""
    rectangle = (
        f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{ROW}" fill="{COLOURS[box.frame.part]}" stroke="#fff"/>'
    )
    return f"<g><title>{escape(box.frame.name)}: {box.share:.1%}</title>{rectangle}{label}</g>"


def _draw_legend(parts: Iterable[str], top: int) -> Iterator[str]:
    for index, part in enumerate(parts):
        row, column = divmod(index, LEGEND_COLUMNS)
        x, y = column * WIDTH // LEGEND_COLUMNS, top + row * ROW
        yield f'<rect x="{x + 4}" y="{y}" width="12" height="12" fill="{COLOURS[part]}"/>'
        yield f'<text x="{x + 20}" y="{y + 10}">{escape(part)}</text>'
