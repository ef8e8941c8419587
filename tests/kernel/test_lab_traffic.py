"""Known traffic arrives as its log says; one packet is lost where it is meant to be."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from tcpdump_text import text

from tracer import lab as lab_package
from tracer.core.errors import LabError
from tracer.lab import LabStatus, Sent

pytestmark = pytest.mark.kernel
FIP = "fip-e7cb8424-51e4-429a-8020-76e651877db3"
COUNT = 5


def traffic() -> list[Sent]:
    return [
        *lab_package.send_tcp("fip-outbound", COUNT, lose=("fpr", FIP)),
        *lab_package.send_udp("fip-outbound", COUNT),
        *lab_package.ping("fip-outbound", COUNT, pattern=b"\xa5"),
        *lab_package.ping("fip-outbound", COUNT),
    ]


@pytest.fixture(scope="module")
def recording(lab: LabStatus, tmp_path_factory: pytest.TempPathFactory) -> lab_package.Recording:
    folder = tmp_path_factory.mktemp("traffic")
    return lab_package.record(folder, lab_package.points("fip-outbound"), traffic)


def shown(recording: lab_package.Recording, name: str, *options: str) -> str:
    return text(recording.folder / name, *options)


def test_log_has_a_line_a_packet(recording: lab_package.Recording) -> None:
    protos = [line.proto for line in recording.log]
    assert {proto: protos.count(proto) for proto in protos} == {
        "tcp": 2 * COUNT + 1,
        "udp": 2 * COUNT,
        "icmp": 4 * COUNT,
    }
    numbers = [line.number for line in recording.log if line.kind == "request" and line.number]
    assert len(set(numbers)) == 3 * COUNT


@pytest.mark.parametrize(
    ("device", "copies"),
    [("vm-ens3", 2), ("compute03-fpr-b6a86b9f-6", 2), ("compute03-fg-2417e6fb-ee", 1)],
)
def test_lost_segment_is_sent_again(
    recording: lab_package.Recording, device: str, copies: int
) -> None:
    lines = shown(recording, f"{device}.pcap", "tcp")
    assert len(re.findall(r"\.8080: Flags \[P\.\].* seq 201:401", lines)) == copies


def test_handshake_and_close_are_complete(recording: lab_package.Recording) -> None:
    flags = re.findall(r"Flags \[(\S+)\]", shown(recording, "sdata-enp4s0.pcap", "tcp"))
    assert flags[:3] == ["S", "S.", "."]
    assert flags.count("F.") == 2


def test_constant_payloads_are_told_apart_by_the_log(recording: lab_package.Recording) -> None:
    constant = [s for s in recording.log if s.number is None and s.kind == "request"]
    lines = shown(recording, "sdata-enp4s0.pcap", "icmp[8:4] = 0xa5a5a5a5", "and icmp[0] = 8")
    assert [int(i) for i in re.findall(r"id (\d+), offset", lines)] == [s.ip_id for s in constant]
    assert [int(i) for i in re.findall(r"seq (\d+)", lines)] == [s.icmp_seq for s in constant]


def test_points_file_names_every_capture(recording: lab_package.Recording) -> None:
    points = tomllib.loads((recording.folder / "points.toml").read_text())
    assert {p["file"] for p in points["point"]} == {
        path.name for path in recording.folder.glob("*.pcap")
    }
    assert all((recording.folder / entry["file"]).exists() for entry in points["conntrack"])


def test_a_point_without_its_packets_is_an_error(
    lab: LabStatus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracer.lab.recording.COMPLETE_S", 0.3)

    def elsewhere() -> list[Sent]:
        return [replace(line, case="fip-inbound") for line in lab_package.ping("east-west", 1)]

    with pytest.raises(LabError, match=r"te1\.pcap never held 2 of the packets"):
        lab_package.record(tmp_path, [lab_package.points("fip-inbound")[2]], elsewhere)


def test_a_capture_that_cannot_start_is_an_error(lab: LabStatus, tmp_path: Path) -> None:
    point = lab_package.Point("vm", "vm", "no-such-device")
    with pytest.raises(LabError, match="no-such-device"):
        lab_package.record(tmp_path, [point], list)
