"""An exchange in a line."""

import pytest
from made import floating_ip, web

from tracer.core.enums import Outcome
from tracer.core.exchanges import exchange_order
from tracer.core.journeys import JourneySet
from tracer.core.values import journeys_of
from tracer.report.live.exchange_lines import glances, round_trip_ns
from tracer.report.text import round_trip


def lines(part: JourneySet, width: int) -> list[str]:
    return [glance.line(width).plain for glance in glances(part, exchange_order(part))]


def test_an_answered_exchange_tells_its_round_trip() -> None:
    (line,) = lines(floating_ip(), 120)
    assert line == (
        "       #1 09:29:04.123456      435µs  ping 192.168.3.69 → 100.121.0.75  id 22344 seq 16434"
    )


def test_the_round_trip_is_that_of_the_text() -> None:
    part = floating_ip()
    (members,) = exchange_order(part)
    request, reply = journeys_of(part, members)
    expected = round_trip(request, reply)
    assert expected is not None
    assert round_trip_ns(part, members) == expected[0]


def test_what_went_wrong_is_named_with_its_place_and_reason() -> None:
    arp, vanished, dropped = lines(web(), 160)
    assert "ARP request who has 10.0.0.254, tell 10.0.0.1" in arp
    assert "vanished  TCP SYN 10.0.0.1:40000 → 10.0.9.9:80  after compute03/qrouter-b6a86b" in (
        vanished
    )
    assert "dropped  TCP SYN" in dropped
    assert "at compute03/enp175s0f1: NETFILTER_DROP" in dropped


def test_a_lost_reply_is_not_a_lost_request() -> None:
    part = floating_ip()
    part.journeys["outcome"][1] = Outcome.VANISHED
    (line,) = lines(part, 160)
    assert "vanished  ping" in line
    assert "the reply after compute03/vm/ens3" in line


@pytest.mark.parametrize("width", [40, 80, 99, 100, 200])
def test_a_line_is_no_wider_than_the_screen(width: int) -> None:
    for part in (web(), floating_ip()):
        assert all(len(line) <= width for line in lines(part, width))


def test_on_a_narrow_screen_id_and_sequence_still_fit() -> None:
    (line,) = lines(floating_ip(), 80)
    assert "100.121.0.75 id 22344 seq 164" in line


def test_on_a_narrow_screen_the_device_is_what_is_told_of_a_place() -> None:
    dropped = lines(web(), 80)[2]
    assert dropped.endswith(" at enp175s0f1…")
