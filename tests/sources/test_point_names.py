"""Points from the names of files."""

import pytest

from tracer.core.point import Point
from tracer.sources.point_names import hosts_by_name, point_in_name, stem_of


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("compute03-qr-1f6b0aa3-3d.pcap", Point("compute03", device="qr-1f6b0aa3-3d")),
        ("a/b/tap2d90b7c4-8e.pcap.gz", Point(device="tap2d90b7c4-8e")),
        ("compute03_rfp-b6a86b9f-6.pcapng", Point("compute03", device="rfp-b6a86b9f-6")),
        ("out06-compute03-enp175s0f1.txt", Point("compute03", device="enp175s0f1")),
        ("out01-ens3.pcap", Point(device="ens3")),
        ("07-eth0.100.pcap", Point(device="eth0.100")),
        ("capture-fg-2417e6fb-ee.pcap", Point(device="fg-2417e6fb-ee")),
        (
            "net1-qrouter-b6a86b9f-6cf4-4ec3-a57a-00ce3e49142d-qr-1f6b0aa3-3d.pcap",
            Point("net1", "qrouter-b6a86b9f-6cf4-4ec3-a57a-00ce3e49142d", "qr-1f6b0aa3-3d"),
        ),
        ("nodeA-any.pcap", Point("nodeA")),
        ("dump-any.pcap", Point()),
        ("company.pcap", Point()),
        ("incident.pcap", Point()),
        ("seth01.pcap", Point()),
    ],
)
def test_file_names_tell_the_device_and_the_host(name: str, point: Point) -> None:
    assert point_in_name(name) == point


def test_stems_lose_capture_and_compression_suffixes_alone() -> None:
    names = ["a/x.pcap.gz", "x.pcapng", "enp4s0.1299.pcap", "x", ".pcap"]
    assert [stem_of(name) for name in names] == ["x", "x", "enp4s0.1299", "x", ".pcap"]


def test_a_device_that_several_files_name_is_on_the_hosts_before_it() -> None:
    podded = ["podA-eth0.pcap", "a/podB-eth0.pcap.gz", "podB-lo0.pcap", "nodeB-ens3.pcap"]
    assert hosts_by_name([*podded, "podB-ens4.pcap"]) == {
        "podA-eth0.pcap": "podA",
        "a/podB-eth0.pcap.gz": "podB",
        "podB-ens4.pcap": "podB",
    }


@pytest.mark.parametrize(
    "files",
    [
        ["inside-eth0.pcap", "outside-eth1.pcap"],  # may well be one host
        ["capture1-eth0.pcap", "capture2-eth0.pcap"],  # one capture after the other
        ["eth0.pcap", "2024-eth0.pcap"],
    ],
)
def test_other_words_before_a_device_are_no_hosts(files: list[str]) -> None:
    assert hosts_by_name(files) == {}
