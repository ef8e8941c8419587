"""Lines keep to the width and their words in order."""

from hypothesis import given
from hypothesis import strategies as st
from made import POINTS

from tracer.core.point import Point
from tracer.report.layout import Layout, lines_of
from tracer.report.line import Line

WORDS = st.lists(st.text("abcdef→µ", min_size=1, max_size=20), max_size=8)


@given(st.integers(0, 60), WORDS, st.integers(40, 120), st.integers(0, 20))
def test_no_word_is_lost_and_no_line_too_long(
    prefix: int, words: list[str], width: int, indent: int
) -> None:
    lines = lines_of(Line("x" * prefix), [Line(word) for word in words], width, indent)
    text = " ".join(line.plain for line in lines)
    assert text.split() == ["x" * prefix] * bool(prefix) + words
    assert all(line.cell_len <= max(width, prefix) for line in lines)


def test_one_host_is_not_repeated() -> None:
    layout = Layout.of(POINTS, 120)
    assert "compute03" not in layout.place(POINTS[1], None).plain
    two = Layout.of([*POINTS, Point("network01", None, "eth0")], 120)
    assert "compute03" in two.place(POINTS[1], None).plain


def test_the_arrow_is_on_the_side_the_packet_is_on() -> None:
    layout = Layout.of(POINTS, 120)
    assert "→ qr-1f6b0aa3-3d" in layout.place(POINTS[1], "ingress").plain
    assert "qr-1f6b0aa3-3d →" in layout.place(POINTS[1], "egress").plain
    assert "→" not in layout.place(POINTS[1], None).plain


def test_places_are_aligned() -> None:
    layout = Layout.of(POINTS, 120)
    lengths = {layout.place(point, way).cell_len for point in POINTS for way in ("egress", None)}
    assert len(lengths) == 1
