"""`tracer.read` against tcpdump, and against what the commands say."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import tracer
from tracer.cli.commands import group


def test_importing_costs_nothing() -> None:
    code = (
        "import sys, tracer\n"
        "heavy = {'numpy', 'pandas', 'pyarrow', 'click', 'tracer.api'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert 'read' in dir(tracer)\n"
        "tracer.read\n"
        "assert 'bcc' not in sys.modules and 'pandas' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_exported_name_is_there() -> None:
    assert all(hasattr(tracer, name) for name in tracer.__all__)
    told = re.findall(r"import \w+ as (\w+)$", Path(tracer.__file__).read_text(), re.MULTILINE)
    assert tracer.__all__ == sorted(told)
    with pytest.raises(AttributeError, match="nothing"):
        tracer.nothing  # noqa: B018 -- reading it is the test


def test_every_packet_tcpdump_prints_is_an_observation(
    captures: Path, outbound: tracer.JourneyFrames
) -> None:
    counts = outbound.observations["capture"].value_counts()
    for file in sorted((captures / "fip-outbound").glob("*.pcap")):
        done = subprocess.run(
            ["tcpdump", "-nn", "-tt", "-r", file], capture_output=True, text=True, check=True
        )
        lines = [line for line in done.stdout.splitlines() if line[:1].isdigit()]
        mine = outbound.observations.query("capture == @file.name")
        assert counts[file.name] == len(lines)
        stamps = [
            f"{time.value // 10**9}.{time.value % 10**9 // 1000:06d}" for time in mine["time"]
        ]
        assert stamps == [line.split()[0] for line in lines]


def test_a_filter_gives_the_journeys_of_the_command(
    captures: Path, outbound: tracer.JourneyFrames
) -> None:
    folder = str(captures / "fip-outbound")
    arguments = ["offline", folder, "--proto", "udp", "--dst", "100.122.0.0/16"]
    done = CliRunner().invoke(group, [*arguments, "--format", "jsonl"], catch_exceptions=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    found = tracer.read(folder, proto="udp", dst="100.122.0.0/16")
    assert found.journeys["journey"].tolist() == [line["journey"] for line in lines]
    assert found.journeys["outcome"].tolist() == [line["outcome"] for line in lines]
    assert 0 < len(found) < len(outbound)
    assert len(found.hops) == sum(len(line["hops"]) for line in lines)
    assert found.summary["shown"] == len(found)
    assert "shown" not in repr(found)
    assert f"{len(found)} selected" in repr(found)


def test_packets_are_joined_when_a_journey_is_asked_for(captures: Path) -> None:
    found = tracer.read(captures / "east-west")
    assert len(found.observations) == 627
    assert "journey_set" not in vars(found)
    assert repr(found) == "<JourneyFrames: 627 observations>"
    assert len(found.journeys) == len(found) == 107
    assert "107 journeys (106 delivered, 1 vanished)" in repr(found)


def test_points_and_conntrack_can_be_named(captures: Path, tmp_path: Path) -> None:
    folder = captures / "two-tenants"
    netns = "qrouter-b6a86b9f-6cf4-4ec3-a57a-00ce3e49142d"
    points = {
        f"here/{netns}/qr-1f6b0aa3-3d": folder / "compute03-qr-1f6b0aa3-3d.pcap",
        f"here/{netns}/rfp-b6a86b9f-6": folder / "compute03-rfp-b6a86b9f-6.pcap",
    }
    dump = folder / "conntrack" / f"{netns}.txt"
    found = tracer.read(points=points, conntrack=dump)
    assert set(found.observations["host"]) == {"here"}
    joined = found.changes.query("cause == 'snat' and field == 'src'")
    assert set(joined["evidence"]) == {"conntrack"}
    without = tracer.read(points=points).changes.query("cause == 'snat' and field == 'src'")
    assert "conntrack" not in set(without["evidence"])
    with pytest.raises(tracer.InputError, match="absent"):
        tracer.read(points=points, conntrack=[tmp_path / "absent.txt"])


def test_what_cannot_be_read_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(tracer.InputError, match="absent"):
        tracer.read(tmp_path / "absent.pcap")


def test_what_is_wrong_is_kept(captures: Path, tmp_path: Path) -> None:
    whole = (captures / "fip-outbound" / "vm-ens3.pcap").read_bytes()
    cut = tmp_path / "vm-ens3.pcap"
    cut.write_bytes(whole[:-7])
    found = tracer.read(cut)
    assert [warning.capture for warning in found.warnings] == [str(cut)]
    assert "1 warnings" in f"{len(found)} {found!r}"
    assert found.summary["warnings"][0]["count"] == 1


def test_a_limit_is_kept_and_told(captures: Path) -> None:
    found = tracer.read(captures / "fip-outbound", limit=100)
    assert len(found.observations) == 100
    assert len(found.warnings) >= 1
