"""The summary counts what there is."""

from made import POINTS, batch_of, floating_ip, journey_set_of

from tracer.core.enums import Decode, Outcome
from tracer.core.journeys import ClockEstimate, FlowPath, FlowPathHop
from tracer.core.warnings import InputWarning
from tracer.report.footer import footer_lines
from tracer.report.summary import ObservationCounts, summary_of


def test_an_exchange() -> None:
    summary = summary_of(floating_ip())
    assert (summary["observations"], summary["journeys"], summary["hops"]) == (12, 2, 12)
    assert (summary["exchanges"], summary["unjoined"], summary["ambiguous"]) == (1, 0, 0)
    assert summary["outcomes"] == {"delivered": 2}


def test_what_is_odd_is_counted() -> None:
    batch = batch_of([{"time_ns": 1, "decode": Decode.TRUNCATED}, {"time_ns": 2}, {"time_ns": 3}])
    journeys = [
        {"rows": [0], "outcome": Outcome.UNFINISHED},
        {"rows": [1, 2], "ambiguous": 1, "duplicates": 3, "outcome": Outcome.VANISHED},
    ]
    summary = summary_of(journey_set_of(batch, journeys, lost={"ring_full": 7}), shown=1)
    assert (summary["unjoined"], summary["ambiguous"], summary["duplicates"]) == (1, 1, 3)
    assert (summary["undecoded"], summary["undecoded_by"]) == (1, {"truncated": 1})
    assert (summary["shown"], summary["lost"]) == (1, {"ring_full": 7})
    assert summary["outcomes"] == {"vanished": 1, "unfinished": 1}


def test_equal_warnings_are_one() -> None:
    warning = InputWarning("cut", "the file ends inside a record", "a.pcap", 10)
    summary = ObservationCounts().summary((warning, warning))
    assert [w["count"] for w in summary["warnings"]] == [2]
    assert set(summary) == {"schema", "observations", "undecoded", "undecoded_by", "warnings"}


def test_a_flow_path() -> None:
    hop = FlowPathHop(2, 2, (0, 1), "request", 5, "inferred", "the period is 1 s")
    path = FlowPath(
        "192.168.3.69 → 100.121.0.75", 1, (hop,), ("no capture shares a packet",), 10**9
    )
    rows = [{"time_ns": 1, "point": 2}, {"time_ns": 2, "point": 2}]
    journeys = [{"rows": [0]}, {"rows": [1]}]
    summary = summary_of(journey_set_of(batch_of(rows), journeys, flow_paths=(path,)))
    (shown,) = summary["flow_paths"]
    assert shown["hops"][0]["at"].endswith(POINTS[2].device or "")
    assert (shown["hops"][0]["packets"], shown["proto"]) == (2, "icmp")


def text(**changes: object) -> str:
    return "\n".join(footer_lines(summary_of(floating_ip()) | changes))


def test_footer_counts() -> None:
    assert "12 observations, 2 journeys, 1 exchange, 0 unjoined" in text()
    assert "(1 shown)" in text(shown=1)


def test_footer_says_what_the_tracer_lost() -> None:
    assert "lost by tracer" not in text(lost={"ring_full": 0})
    ring = text(lost={"ring_full": 7, "map_full": 0})
    assert "lost by tracer, not by the network: 7 ring full\n" in ring
    assert ring.endswith("or a larger --ring-size")
    both = text(lost={"ring_full": 7, "map_full": 1})
    assert both.endswith("or a larger --ring-size and --map-size")
    assert "larger" not in text(lost={"unreadable": 1})
    both = text(lost={"capture_dropped": 2, "unreadable": 1})
    assert "\ndropped by captures, not by the network: 2 packets\n" in both
    assert both.endswith("lost by tracer, not by the network: 1 unreadable")


def test_footer_gives_clocks_with_uncertainty() -> None:
    clock = ClockEstimate("vm", 3_370_000_000, 12_500, 0.5, 20, "minimum-delay", "vm")
    journey_set = floating_ip()
    journey_set.clocks = (clock, ClockEstimate("compute03", 0, None, host="compute03"))
    lines = list(footer_lines(summary_of(journey_set)))
    assert "clocks taken as they are: compute03" in lines
    assert (
        "clock of vm: +3.370000 s, ± 12.5 µs, drift +0.50 ppm (minimum-delay; 20 samples)" in lines
    )


def test_footer_names_some_of_many_clocks() -> None:
    journey_set = floating_ip()
    hosts = [f"compute{number:02}" for number in range(90)]
    journey_set.clocks = tuple(ClockEstimate(host, 0, None, host=host) for host in hosts)
    summary = summary_of(journey_set)
    (line,) = [line for line in footer_lines(summary) if line.startswith("clocks")]
    assert line.endswith("compute09, compute10 and 79 more")
    assert [clock["host"] for clock in summary["clocks"]] == hosts


def test_footer_says_of_clocks_that_one_side_bounds_them() -> None:
    journey_set = floating_ip()
    journey_set.clocks = (
        ClockEstimate("vm", 150_000_000, None, 0.0, 60, "one-way", "vm"),
        ClockEstimate("compute03", 0, None, host="compute03"),
        ClockEstimate("server", 0, None, 0.0, 60, "one-way", "server"),
    )
    lines = list(footer_lines(summary_of(journey_set)))
    assert "clocks taken as they are: compute03" in lines
    assert "clocks taken as they are, offset bounded from one side only: server" in lines
    assert "clock of vm: +0.150000 s, bounded from one side only (one-way; 60 samples)" in lines


def test_footer_has_a_line_per_kind_of_damage() -> None:
    warnings = (
        InputWarning("cut", "it ends inside a record", "a.pcap", 10),
        InputWarning("date", "stamps have no date", "b.txt", 3, 4),
        InputWarning("date", "stamps have no date", "c.txt", 3, 4),
    )
    journey_set = floating_ip()
    journey_set.warnings = warnings
    lines = list(footer_lines(summary_of(journey_set)))
    assert "warning: a.pcap: it ends inside a record at byte 10" in lines
    assert "warning: 2 captures: stamps have no date, 8 times" in lines
