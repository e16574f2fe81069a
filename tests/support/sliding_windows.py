"""Generated sliding windows, and their state at a later moment."""

from hypothesis import strategies as st
from msgspec.structs import replace

from app.access.sliding_window import SlidingWindow


@st.composite
def windows(draw: st.DrawFn) -> SlidingWindow:
    limit, seconds = draw(st.integers(1, 300)), draw(st.sampled_from([1, 60, 3600]))
    before, current = draw(st.integers(0, limit)), draw(st.integers(0, limit))
    return SlidingWindow(limit, seconds, before, current, since=draw(st.floats(0, seconds, exclude_max=True)))


def advance(window: SlidingWindow, seconds: float) -> SlidingWindow:
    """Return the window so many seconds later, without requests in between."""
    passed = window.since + seconds
    ended, since = divmod(passed, window.seconds)
    if ended == 0:
        return replace(window, since=since)
    return replace(window, previous=window.current if ended == 1 else 0, current=0, since=since)
