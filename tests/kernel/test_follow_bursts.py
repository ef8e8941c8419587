"""Equal frames at once, live: nothing but their buffers tells them apart.

The kernel has the next packet, or the next branch of a flood, in the buffer that it freed last.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from follower import Follower, wait_for

from tracer.lab import LabStatus

pytestmark = pytest.mark.kernel
BURST, ROUNDS = 3, 50
FLOATING = "100.122.0.145"  # nobody's own: the floating-IP namespace answers for it
ASK = f"""
import socket, sys
me = bytes.fromhex(open("/sys/class/net/vlan20/address").read().strip().replace(":", ""))
asked = socket.inet_aton("100.122.255.254") + bytes(6) + socket.inet_aton("{FLOATING}")
frame = b"\\xff" * 6 + me + bytes.fromhex("0806" "0001080006040001") + me + asked
device = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
device.bind(("vlan20", 0x0806))
for _ in sys.stdin:
    for _ in range({BURST}):
        device.send(frame)
"""


@pytest.fixture
def replies_seen(tmp_path: Path) -> Path:
    return tmp_path / "replies.txt"


@pytest.mark.parametrize("engine", ["core", "bcc"])
def test_equal_arp_frames_are_packets_of_their_own(
    lab: LabStatus, tmp_path: Path, replies_seen: Path, engine: str
) -> None:
    inside = ["ip", "netns", "exec", "l3switch"]
    caught = "arp and ether src fa:16:3e:23:e6:31"  # what fg sends
    sniff = [*inside, "tcpdump", "-i", "vlan20", "-n", "-l", "--immediate-mode", caught]
    sent = BURST * ROUNDS
    options = ["--engine", engine, "--proto", "arp", "--host", "100.122.0.0/24"]
    with (
        replies_seen.open("w") as out,
        subprocess.Popen(sniff, stdout=out, stderr=out) as tcpdump,
        Follower(tmp_path, "arp", *options) as follower,
        subprocess.Popen([*inside, sys.executable, "-c", ASK], stdin=subprocess.PIPE) as asking,
    ):
        try:
            wait_for(lambda: "listening" in replies_seen.read_text(), "tcpdump")
            for told in range(BURST, sent + 1, BURST):
                assert asking.stdin is not None
                asking.stdin.write(b"\n")
                asking.stdin.flush()
                wait_for(
                    lambda told=told: replies_seen.read_text().count("is-at") == told, "replies"
                )
            follower.wait(lambda j: j["kind"] == "arp-reply", "the replies", sent)
        finally:
            tcpdump.terminate()  # else `with` waits for it
    replies = [j for j in follower.journeys if j["kind"] == "arp-reply"]
    requests = [j for j in follower.journeys if j["kind"] == "arp-request"]
    assert (len(requests), len(replies)) == (sent, sent)
    assert {request["reply"] for request in requests} == {reply["journey"] for reply in replies}
    # Of replies that come at once the kernel may take one, and drop the others where that came.
    ways = [
        list(dict.fromkeys((hop["netns"], hop["device"]) for hop in reply["hops"]))
        for reply in replies
    ]
    assert all(way == ways[0] for way in ways)
    assert (ways[0][0][1], ways[0][-1]) == ("fg-2417e6fb-ee", ("l3switch", "vlan20"))
    assert not any(reply["ambiguous"] or reply["duplicates"] for reply in replies)
