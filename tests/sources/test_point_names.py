"""Points from the names of files."""

import pytest

from tracer.core.point import Point
from tracer.sources.point_names import places_by_name, point_in_name, stem_of


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
    podded = ["podA-eth0.pcap", "a/podB-eth0.pcap.gz", "nodeB-ens3.pcap", "podB-ens4.pcap"]
    assert places_by_name(podded) == {
        "podA-eth0.pcap": Point("podA", device="eth0"),
        "a/podB-eth0.pcap.gz": Point("podB", device="eth0"),
        "podB-ens4.pcap": Point("podB", device="ens4"),
    }


def test_what_follows_a_known_host_is_its_device_whatever_that_is_called() -> None:
    apart = ["hostA-eth0.pcap", "hostA2-eth0.pcap"]
    others = ["hostA-fg.pcap", "03-hostA2_rfp.pcap.gz", "hostA-any.pcap"]
    found = places_by_name([*apart, *others, "hostB-fg.pcap", "hostA3.pcap", "hostA-dump2.pcap"])
    assert {name: found.get(name) for name in others} == {
        "hostA-fg.pcap": Point("hostA", device="fg"),
        "03-hostA2_rfp.pcap.gz": Point("hostA2", device="rfp"),
        "hostA-any.pcap": Point("hostA"),
    }
    assert not {"hostB-fg.pcap", "hostA3.pcap", "hostA-dump2.pcap"} & set(found)


@pytest.mark.parametrize(
    "files",
    [
        ["inside-eth0.pcap", "outside-eth1.pcap"],  # may well be one host
        ["capture1-eth0.pcap", "capture2-eth0.pcap"],  # one capture after the other
        ["eth0.pcap", "2024-eth0.pcap"],
    ],
)
def test_other_words_before_a_device_are_no_hosts(files: list[str]) -> None:
    assert places_by_name(files) == {}
