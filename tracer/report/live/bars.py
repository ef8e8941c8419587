"""The lines around a live view: what runs, counts, titles of panes, keys."""

from collections.abc import Iterable

from tracer.report.line import Line
from tracer.report.live.units import count, elapsed, rate

_OUTCOME_STYLES = {"delivered": "green", "dropped": "bold red", "vanished": "bold red"}


def key_line(keys: Iterable[tuple[str, str]], width: int) -> Line:
    """Return the keys and what they do, as many as fit in `width` columns."""
    line = Line()
    for key, word in keys:
        if line.cell_len + len(key) + len(word) + 3 > width:
            break
        line.append("  " if line.cell_len else "").append(key, "bold").append(f" {word}", "dim")
    return line


def title_line(text: str, width: int, *, is_focused: bool, aside: str = "") -> Line:
    """Return the title of a pane, a rule behind it up to what is said aside at the right."""
    line = Line("▸ " if is_focused else "─ ", "bold" if is_focused else "dim")
    room = width - 4 - (len(aside) + 2 if aside else 0)
    text = text if len(text) <= room else f"{text[: max(room - 1, 0)]}…"
    line.append(text, "bold").append(" ")
    right = f" {aside}" if aside else ""
    line.append("─" * max(0, width - line.cell_len - len(right)), "dim")
    return line.append(right, "dim")


def state_line(what: str, state: str, style: str, elapsed_ns: int, width: int) -> Line:
    """Return the first line: what is followed, for how long, and the state at the right."""
    line = Line("tracer follow", "bold")
    right = f"{state}  {elapsed(elapsed_ns)}"
    room = width - line.cell_len - len(right) - 3
    text = what if len(what) <= room else f"{what[: max(room - 1, 0)]}…"
    line.append(f"  {text}")
    line.append(" " * max(1, width - line.cell_len - len(right)))
    return line.append(state, style).append(f"  {elapsed(elapsed_ns)}")


def count_line(
    observations: int, per_second: float, outcomes: dict[str, int], lost: int, width: int
) -> Line:
    """Return the line of counts: events, packets by outcome, what the tracer lost."""
    packets = sum(outcomes.values())
    line = Line(f"{rate(per_second)} events/s", "bold").append(f", {count(observations)} in all  ")
    line.append(f"{count(packets)} packet{'' if packets == 1 else 's'}", "bold")
    lost_text = f"lost by tracer {count(lost)}"
    for word, number in sorted(outcomes.items(), key=lambda item: -item[1]):
        text = f"  {count(number)} {word}"
        if line.cell_len + len(text) + len(lost_text) + 2 > width:
            line.append(" …")
            break
        line.append(text, _OUTCOME_STYLES.get(word, "yellow"))
    return line.append("  ").append(lost_text, "bold yellow" if lost else "dim")
