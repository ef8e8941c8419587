"""Lines: parts with styles, as wide as rich says, shown by rich as they are."""

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from tracer.report.line import Line

PARTS = st.lists(st.tuples(st.text("ab →µ漢", max_size=6), st.sampled_from(["", "bold", "dim"])))


def made(parts: list[tuple[str, str]]) -> Line:
    line = Line()
    for text, style in parts:
        line.append(text, style)
    return line


@given(PARTS)
def test_plain_text_and_width(parts: list[tuple[str, str]]) -> None:
    line = made(parts)
    assert line.plain == "".join(text for text, _ in parts)
    assert line.cell_len == cell_len(line.plain)


@given(PARTS)
def test_spaces_at_the_end_go(parts: list[tuple[str, str]]) -> None:
    line = made(parts)
    expected = line.plain.rstrip(" ")
    assert line.rstrip().plain == expected
    assert line.cell_len == cell_len(expected)


@given(PARTS, PARTS)
def test_a_line_grows_by_another_which_stays(
    first: list[tuple[str, str]], second: list[tuple[str, str]]
) -> None:
    one, other = made(first), made(second)
    both = one.copy().extend(other)
    assert both.plain == one.plain + other.plain
    assert both.cell_len == one.cell_len + other.cell_len


def test_rich_sees_the_styles() -> None:
    shown = Line("up ").append("down", "bold red").__rich__()
    assert shown == Text.assemble("up ", ("down", "bold red"))
