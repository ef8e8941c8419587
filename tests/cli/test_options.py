"""Options: filters as values, formats from names, help in sections."""

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from cli.conftest import Run
from tracer.cli.options import chosen_format, filter_options, flow_filter
from tracer.core.filter import FlowFilter


def parsed(*arguments: str) -> FlowFilter | int:
    """The filter that arguments give, or the exit status when they are bad usage."""
    found: list[FlowFilter] = []

    @click.command()
    @filter_options
    def command(**conditions: Any) -> None:
        found.append(flow_filter(conditions))

    result = CliRunner().invoke(command, list(arguments))
    return found[0] if found else result.exit_code


def test_no_options_are_no_condition() -> None:
    assert parsed() == FlowFilter()


def test_every_condition() -> None:
    assert parsed(
        "--icmp-id", "22344", "--proto", "ICMP", "--host", "10.0.0.0/8", "--host", "::1",
        "--src", "10.0.0.1", "--dst", "10.0.0.2", "--port", "80", "--sport", "1", "--dport", "2",
    ) == FlowFilter(
        22344, 1, ("10.0.0.0/8", "::1"), ("10.0.0.1",), ("10.0.0.2",), (80,), (1,), (2,)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "number"),
    [("icmp", 1), ("tcp", 6), ("udp", 17), ("icmpv6", 58), ("arp", -2), ("47", 47)],
)
def test_a_protocol_is_a_name_or_a_number(text: str, number: int) -> None:
    found = parsed("--proto", text)
    assert isinstance(found, FlowFilter)
    assert found.proto == number


@pytest.mark.parametrize(
    "arguments",
    [
        ("--proto", "tpc"), ("--proto", "256"), ("--host", "10.0.0.256"), ("--src", "10.0.0.0/33"),
        ("--port", "65536"), ("--icmp-id", "-1"), ("--dport", "http"),
    ],
)  # fmt: skip
def test_values_that_cannot_be_are_bad_usage(arguments: tuple[str, ...]) -> None:
    assert parsed(*arguments) == 2


@pytest.mark.parametrize(
    ("format_", "output", "chosen"),
    [
        (None, None, "text"),
        ("csv", None, "csv"),
        (None, "a.parquet", "parquet"),
        (None, "a.jsonl", "jsonl"),
        (None, "a.json", "jsonl"),
        (None, "a.txt", "text"),
        (None, "csv", "csv"),
        (None, "a.CSV", "csv"),
        (None, "A.TXT", "text"),
        (None, "podA.d/hops.log", "text"),
        (None, "podA.d/hops", "text"),
        (None, "hops-2026.11.26", "text"),
        (None, "/dev/fd/63", "text"),
        (None, "/dev/shm/x.y", "text"),
        (None, ".hops", "text"),
        (None, "-", "text"),
        ("csv", "a.xlsx", "csv"),
        ("jsonl", "a.csv", "jsonl"),
    ],
)
def test_a_format_is_given_or_told_from_the_name(
    format_: str | None, output: str | None, chosen: str
) -> None:
    assert chosen_format(format_, output, ("text", "jsonl", "csv", "parquet")) == chosen


@pytest.mark.parametrize("name", ["hops.parqet", "hops.xlsx", "podA.d/hops.csv.gz", "hops.pcap"])
def test_a_name_that_ends_in_no_format_is_bad_usage(name: str) -> None:
    with pytest.raises(click.BadParameter, match=r"none of \.jsonl, \.csv; say with --format"):
        chosen_format(None, name, ("text", "jsonl", "csv"))


def test_a_file_of_unknown_format_is_not_begun(run: Run, tmp_path: Path) -> None:
    for command in ("offline", "observations"):
        written = tmp_path / "hops.parqet"
        done = run(command, tmp_path / "none.pcap", "-o", written)
        assert done.exit_code == 2
        assert "say with --format what to write there." in " ".join(done.output.split())
        assert not written.exists()


def test_help_is_in_sections(run: Run) -> None:
    output = run("offline", "--help").output
    sections = [
        line.rstrip(":") for line in output.splitlines() if line[:1].strip() and ":" in line
    ]
    filter_ = "Filter, on either side of NAT"
    assert sections[-5:] == ["Input", filter_, "Output", "Redaction", "Options"]
