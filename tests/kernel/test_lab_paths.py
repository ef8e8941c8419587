"""Every TTL, MAC, tag and translation of the ground truth holds, as tcpdump shows it."""

import re
import subprocess
from collections.abc import Iterator

import pytest
from tcpdump_text import Echo, echoes, text

from tracer import lab as lab_package
from tracer.lab import LabStatus, Recording, TrueHop
from tracer.lab.recording import file_name

pytestmark = pytest.mark.kernel
CASES = sorted(lab_package.cases())
COUNT = 3
QROUTER = "qrouter-b6a86b9f-6cf4-4ec3-a57a-00ce3e49142d"
FIP = "fip-e7cb8424-51e4-429a-8020-76e651877db3"


def shell(netns: str, command: str) -> str:
    argv = ["ip", "netns", "exec", netns, *command.split()]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def recordings(lab: LabStatus, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recording]:
    folder = tmp_path_factory.mktemp("recordings")
    return {
        name: lab_package.record(
            folder / name,
            lab_package.points(),  # all of them: a packet must not be where it has no business
            lambda name=name: lab_package.ping(name, COUNT),  # type: ignore[misc]
        )
        for name in CASES
    }


def seen(recording: Recording, hop: TrueHop, kind: str) -> Iterator[Echo]:
    """The echoes of that kind that tcpdump shows at the hop's point with its TTL."""
    for echo in echoes(recording.folder / file_name(hop.point)):
        if echo.kind == kind and echo.ttl == hop.ttl:
            yield echo


@pytest.mark.parametrize("kind", ["request", "reply"])
@pytest.mark.parametrize("name", CASES)
def test_every_hop_shows_its_ttl_addresses_and_ids(
    recordings: dict[str, Recording], lab: LabStatus, name: str, kind: str
) -> None:
    recording, case = recordings[name], lab_package.case(name)
    inner_id = recording.log[0].icmp_id
    outer_ids = set()
    for hop in case.path(kind):
        shown = list(seen(recording, hop, kind))
        assert [echo.icmp_seq for echo in shown] == [1, 2, 3], hop.name
        tag = hop.vlan if lab.tagging != "untagged" else None
        addresses = {(e.src_mac, e.dst_mac, e.vlan, e.src, e.dst) for e in shown}
        assert addresses == {(hop.src_mac, hop.dst_mac, tag, hop.src, hop.dst)}, hop.name
        if hop.rewritten:
            outer_ids |= {echo.icmp_id for echo in shown}
        else:
            assert {echo.icmp_id for echo in shown} == {inner_id}, hop.name
    assert len(outer_ids) == (1 if any(hop.rewritten for hop in case.path(kind)) else 0)


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_seen_elsewhere(recordings: dict[str, Recording], name: str) -> None:
    case = lab_package.case(name)
    expected = dict.fromkeys(recordings[name].files.values(), 0)
    for hop in (*case.request, *case.reply):
        expected[hop.point] += COUNT
    shown = {
        point: len(echoes(recordings[name].folder / file))
        for file, point in recordings[name].files.items()
    }
    assert shown == expected


def test_reply_of_centralized_snat_never_crosses_the_router(
    recordings: dict[str, Recording],
) -> None:
    folder = recordings["snat-centralized"].folder
    assert {e.kind for e in echoes(folder / "compute03-qr-1f6b0aa3-3d.pcap")} == {"request"}
    replies = [e for e in echoes(folder / "vm-nofip-ens3.pcap") if e.kind == "reply"]
    assert {(e.src_mac, e.ttl) for e in replies} == {("fa:16:3e:c6:12:7f", 62)}


def test_tunnel_headers(recordings: dict[str, Recording]) -> None:
    folder = recordings["snat-centralized"].folder
    shown = text(folder / "compute03-enp175s0f0.pcap")
    tunnelled = re.findall(r"([\d.]+)\.\d+ > ([\d.]+)\.4789: VXLAN.*vni (\d+)", shown)
    assert {("10.0.0.3", "10.0.0.10", "10066"), ("10.0.0.10", "10.0.0.3", "10066")} == set(
        tunnelled
    )


def test_ids_are_those_of_conntrack(recordings: dict[str, Recording]) -> None:
    recording = recordings["fip-outbound"]
    dump = (recording.folder / "conntrack" / f"{QROUTER}.txt").read_text()
    inner = recording.log[0].icmp_id
    original = f"src=192.168.3.69 dst=100.121.0.75 type=8 code=0 id={inner} "
    reply = r"src=100.121.0.75 dst=100.122.0.145 type=0 code=0 id=(\d+)"
    entry = re.search(original + reply, dump)
    assert entry is not None
    outer = {e.icmp_id for e in echoes(recording.folder / "compute03-fg-2417e6fb-ee.pcap")}
    assert outer == {int(entry[1])}
    assert int(entry[1]) != inner


def test_no_conntrack_in_the_floating_ip_namespace(recordings: dict[str, Recording]) -> None:
    for name in ("fip-outbound", "fip-inbound"):
        assert (recordings[name].folder / "conntrack" / f"{FIP}.txt").read_text() == ""


def test_inbound_keeps_the_icmp_id(recordings: dict[str, Recording]) -> None:
    recording = recordings["fip-inbound"]
    ids = {e.icmp_id for file in recording.files for e in echoes(recording.folder / file)}
    assert ids == {recording.log[0].icmp_id}


@pytest.mark.parametrize("address", ["100.122.0.145", "100.122.0.178"])
def test_proxy_arp_answers_with_the_mac_of_fg(lab: LabStatus, address: str) -> None:
    shell("l3switch", "ip neigh flush dev vlan20")
    answer = shell("l3switch", f"arping -c 1 -w 5 -I vlan20 {address}")
    assert re.findall(r"[\dA-Fa-f:]{17}", answer)[0].lower() == "fa:16:3e:23:e6:31"


def test_proxy_arp_is_silent_for_an_address_nobody_has(lab: LabStatus) -> None:
    command = ["arping", "-c", "1", "-w", "1", "-I", "vlan20", "100.122.9.9"]
    argv = ["ip", "netns", "exec", "l3switch", *command]
    assert subprocess.run(argv, capture_output=True, check=False).returncode == 1


def test_vm_without_floating_ip_leaves_with_the_gateway_address(lab: LabStatus) -> None:
    route = shell(QROUTER, "ip route get 100.121.0.75 from 192.168.3.32 iif qr-1f6b0aa3-3d")
    assert "via 192.168.0.11 dev qr-1f6b0aa3-3d" in route
    route = shell(QROUTER, "ip route get 100.121.0.75 from 192.168.3.69 iif qr-1f6b0aa3-3d")
    assert "via 169.254.74.217 dev rfp-b6a86b9f-6" in route
