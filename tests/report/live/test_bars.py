"""The lines around the view."""

import pytest

from tracer.report.live.bars import count_line, key_line, state_line, title_line

KEYS = (("Enter", "hops"), ("Space", "pause"), ("q", "quit"))


@pytest.mark.parametrize("width", [40, 80, 200])
def test_lines_are_as_wide_as_the_screen_and_no_wider(width: int) -> None:
    outcomes = {"delivered": 10**9, "dropped": 10**6, "vanished": 12, "answered-elsewhere": 1}
    assert state_line("--host " + "1" * 300, "LIVE", "", 10**12, width).cell_len == width
    assert title_line("t" * 300, width, is_focused=True, aside="↑0 ↓9").cell_len == width
    assert title_line("path", width, is_focused=False).cell_len == width
    assert key_line(KEYS * 9, width).cell_len <= width
    if width >= 80:
        assert count_line(10**9, 9998.0, outcomes, 3, width).cell_len <= width


def test_what_the_tracer_lost_is_always_told() -> None:
    line = count_line(80_005, 10_000, {"delivered": 16_000, "dropped": 1}, 7, 120)
    assert line.plain == (
        "10.0k events/s, 80,005 in all  16,001 packets  16,000 delivered  1 dropped"
        "  lost by tracer 7"
    )


def test_keys_that_do_not_fit_are_left_out_whole() -> None:
    assert key_line(KEYS, 26).plain == "Enter hops  Space pause"
