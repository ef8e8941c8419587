"""Real packets through NAT, loss, reordering and duplication; oracles are counters and tshark.

client c0 ── r0 router r1 ── wire ── s0 server: the router translates ports both ways and loses
packets between r0 and r1, but never the first one (what is lost before a capture shows anything is
not known to be), the wire swaps and doubles them, r0 is captured with a short snaplen.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from campus_traffic import take_all
from told import hops, joined

import tracer
from tests.kernel.routed import Routed, routed, run
from tests.kernel.wire import Wire, tcpdumps, wired
from tracer.core.enums import Outcome
from tracer.core.journeys import JourneySet
from tracer.sources.live.syscalls import network_namespace

pytestmark = pytest.mark.kernel
ASKED, SERVED, TCP_PORT, DATAGRAMS = 5300, 9999, 9998, 311
DEVICES = ("c0", "r0", "r1", "s0")
MARK = b"\0\0\0\0the-recording-ends"
LOSS = """
table inet loss {
  counter datagrams {}
  counter segments {}
  chain c { type filter hook forward priority 0;
    udp dport 9999 @th,64,32 != 1 numgen random mod 100 < 10 counter name datagrams drop
    tcp flags & (syn | fin) == 0 jump bytes
  }
  chain bytes {
    iifname r0 tcp dport 9998 numgen random mod 100 < 8 counter name segments drop
  }
}"""


@dataclass(frozen=True)
class Recorded:
    """The folder, what was dropped and what the wire did, and the number in each UDP frame."""

    folder: Path
    dropped: dict[str, int]
    wire: Wire
    numbers: dict[str, dict[int, int]]  # device → frame → number


@pytest.fixture(scope="module")
def recorded(
    require_kernel: Callable[[bool, str], None], tmp_path_factory: pytest.TempPathFactory
) -> Recorded:
    require_kernel(os.geteuid() == 0, "network namespaces need root")
    folder = tmp_path_factory.mktemp("lossy")
    with routed("wire") as net, wired(net, SERVED) as wire:
        nat = f"-t nat -A PREROUTING -i r0 -p udp --dport {ASKED} -j DNAT --to :{SERVED}"
        run(f"ip netns exec {net.router} iptables {nat}")
        (folder / "loss.nft").write_text(LOSS)
        run(f"ip netns exec {net.router} nft -f {folder / 'loss.nft'}")
        (folder / "loss.nft").unlink()
        spaces = (net.client, net.router, net.router, net.server)
        options = ("", "-s 64", "", "")
        with tcpdumps(folder, list(zip(spaces, DEVICES, options, strict=True)), MARK):
            send(net)
        counted = json.loads(run(f"ip netns exec {net.router} nft -j list counters"))["nftables"]
    dropped = {c["counter"]["name"]: c["counter"]["packets"] for c in counted if "counter" in c}
    return Recorded(folder, dropped, wire, {device: numbers(folder, device) for device in DEVICES})


def send(net: Routed) -> None:
    """Send numbered datagrams, a TCP transfer, and at last the mark that nothing loses."""
    with network_namespace(f"/run/netns/{net.server}"):
        sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sink.bind(("10.7.2.2", SERVED))
        server = socket.create_server(("10.7.2.2", TCP_PORT))
    with network_namespace(f"/run/netns/{net.client}"):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client = socket.socket()
    with sink, server, sender, client:
        for number in range(1, DATAGRAMS + 1):
            sender.sendto(number.to_bytes(4, "big") + b"payload of a datagram", ("10.7.2.2", ASKED))
            time.sleep(0.001)  # the pace of the sender, not a wait for anything
        taken = threading.Thread(target=take_all, args=(server,))
        taken.start()
        client.connect(("10.7.2.2", TCP_PORT))
        client.sendall(os.urandom(150_000))
        client.shutdown(socket.SHUT_WR)
        taken.join()
        run(f"ip netns exec {net.router} nft flush chain inet loss c")
        sender.sendto(MARK, ("10.7.2.2", ASKED))


def tshark(file: Path, what: str, *fields: str) -> list[list[str]]:
    """Rows of fields that tshark reads from the packets a filter takes."""
    command = ["tshark", "-n", "-r", str(file), "-Y", what, "-T", "fields"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def numbers(folder: Path, device: str) -> dict[int, int]:
    """Frame number → number in the payload, of the datagrams that tshark finds.

    Not of errors that quote one: the server may be gone when the wire lets go of the last.
    """
    found = with_mark(folder, device)
    return {frame: number for frame, number in found.items() if number <= DATAGRAMS}


def with_mark(folder: Path, device: str) -> dict[int, int]:
    """`numbers`, and the mark as the number after the last."""
    rows = tshark(folder / f"{device}.pcap", f"udp.port in {{{ASKED},{SERVED}}} && !icmp",
                  "frame.number", "udp.payload")  # fmt: skip
    found = {int(frame): int(payload.replace(":", "")[:8], 16) for frame, payload in rows}
    return {frame: number or DATAGRAMS + 1 for frame, number in found.items()}


def of_datagrams(found: JourneySet, recorded: Recorded) -> dict[int, tuple[int, list[str]]]:
    """Number → (journey, devices); every hop of a journey has to show the journey's number."""
    out: dict[int, tuple[int, list[str]]] = {}
    for journey in range(len(found.journeys)):
        seen = hops(found, journey)
        said = {recorded.numbers[device].get(frame) for device, frame in seen}
        if said == {None}:
            continue
        assert len(said) == 1, f"one journey of datagrams {said}"
        (number,) = said
        assert number is not None
        assert number not in out, f"datagram {number} has two journeys"
        out[number] = (journey, [device for device, _ in seen])
    return out


def test_each_datagram_is_one_journey_through_nat(recorded: Recorded) -> None:
    found = joined([recorded.folder])
    told = of_datagrams(found, recorded)
    assert told.keys() == set(range(1, DATAGRAMS + 1))
    arrived = set(recorded.numbers["s0"].values())
    assert {
        n for n, (_, devices) in told.items() if tuple(dict.fromkeys(devices)) == DEVICES
    } == arrived
    assert len(recorded.wire.overtaken) > 10, "the wire has to have swapped some"


def test_loss_is_where_and_as_often_as_the_kernel_counted(recorded: Recorded) -> None:
    found = joined([recorded.folder])
    told = of_datagrams(found, recorded)
    lost = set(range(1, DATAGRAMS + 1)) - set(recorded.numbers["r1"].values())
    assert len(lost) == recorded.dropped["datagrams"] > 0
    journeys = found.journeys
    vanished = {n for n, (j, _) in told.items() if journeys["outcome"][j] == Outcome.VANISHED}
    assert vanished == lost
    at = Counter(
        found.observations.points[journeys["outcome_point"][told[n][0]]].name for n in vanished
    )
    assert set(at) == {"r0"}


def test_doubled_frames_are_duplicates(recorded: Recorded) -> None:
    found = joined([recorded.folder])
    told = of_datagrams(found, recorded)
    doubled = {n for n, (j, _) in told.items() if found.journeys["duplicates"][j]}
    assert doubled == set(recorded.wire.doubled)
    assert doubled


def sent_again(file: Path) -> set[int]:
    """Frames whose bytes the client had sent before: all below the highest sequence number.

    tshark's own word for it depends on how soon they follow (`out-of-order`, `spurious`).
    """
    rows = tshark(file, f"tcp.dstport == {TCP_PORT} && (tcp.len > 0 || tcp.flags.fin == 1)",
                  "frame.number", "tcp.seq", "tcp.nxtseq")  # fmt: skip
    again, highest = set(), 0
    for frame, begin, end in ((int(n) for n in row) for row in rows):
        if begin < highest:
            again.add(frame)
        highest = max(highest, end)
    return again


def test_tcp_bytes_sent_again_are_told_as_such(recorded: Recorded) -> None:
    found = joined([recorded.folder])
    expected = sent_again(recorded.folder / "c0.pcap")
    assert expected
    marked = np.flatnonzero(found.journeys["retransmission_of"] >= 0)
    told = {dict(hops(found, int(journey)))["c0"] for journey in marked}
    assert told == expected
    tcp = found.journeys["proto"] == socket.IPPROTO_TCP
    vanished = int((found.journeys["outcome"][tcp] == Outcome.VANISHED).sum())
    assert vanished == recorded.dropped["segments"]


def test_segments_count_what_happened_on_each(recorded: Recorded) -> None:
    # What nft counted between r0 and r1, and the numbers in the order in which s0 saw them.
    found = tracer.read(recorded.folder)
    flows = found.flows.set_index("flow")["proto"]
    segments = found.segments
    segments = segments.assign(
        proto=segments["flow"].map(flows.to_dict()),
        devices=segments["from_point"].astype(str) + " " + segments["to_point"].astype(str),
    )
    totals = segments.groupby(["proto", "devices"])[["lost", "resent", "reordered"]].sum()
    lost = totals[totals["lost"] > 0]["lost"].to_dict()
    assert lost == {
        ("udp", "r0 r1"): recorded.dropped["datagrams"],
        ("tcp", "r0 r1"): recorded.dropped["segments"],
    }
    data = [tshark(recorded.folder / f"{device}.pcap", f"tcp.dstport == {TCP_PORT} && tcp.len > 0",
                   "frame.number") for device in ("c0", "r1")]  # fmt: skip
    resent = totals[totals["resent"] > 0]["resent"].to_dict()
    assert resent == {("tcp", "r0 r1"): len(data[0]) - len(data[1])}  # of lost ACKs none is
    latest, late = 0, set()
    # The first of each; the mark may overtake the last.
    for number in dict.fromkeys(with_mark(recorded.folder, "s0").values()):
        if number < latest:
            late.add(number)
        latest = max(latest, number)
    assert totals["reordered"].to_dict()["udp", "r1 s0"] == len(late) > 5
    assert totals.loc["udp", "reordered"].sum() == len(late)
    assert late <= set(recorded.wire.overtaken)


def test_before_a_capture_began_nothing_is_lost(recorded: Recorded, tmp_path: Path) -> None:
    for device in DEVICES[:3]:
        os.symlink(recorded.folder / f"{device}.pcap", tmp_path / f"{device}.pcap")
    late = list(recorded.numbers["s0"])[DATAGRAMS // 3]
    run(f"editcap -r {recorded.folder}/s0.pcap {tmp_path}/s0.pcap {late}-100000")
    found = joined([tmp_path])
    journeys, devices = found.journeys, [point.name for point in found.observations.points]
    udp = np.flatnonzero(journeys["proto"] == socket.IPPROTO_UDP)
    vanished = udp[journeys["outcome"][udp] == Outcome.VANISHED]
    at = Counter(devices[point] for point in journeys["outcome_point"][vanished])
    assert at == {"r0": recorded.dropped["datagrams"]}
    unfinished = udp[journeys["outcome"][udp] == Outcome.UNFINISHED]
    assert len(unfinished) >= DATAGRAMS // 3 - recorded.dropped["datagrams"]


def test_the_recorded_folder_can_be_made_anew(
    require_kernel: Callable[[bool, str], None], tmp_path: Path, captures: Path
) -> None:
    require_kernel(os.geteuid() == 0, "network namespaces need root")
    subprocess.run(
        [sys.executable, captures.parent / "scripts" / "lossy_wire.py", tmp_path / "lossy-wire"],
        check=True,
    )
    then, now = (
        json.loads((folder / "lossy-wire" / "truth.json").read_text())
        for folder in (captures, tmp_path)
    )
    for packet in (*then["packets"], *now["packets"]):
        del packet["doubled"], packet["overtaken"]  # as chance and the order of frames have it
    assert now == then
