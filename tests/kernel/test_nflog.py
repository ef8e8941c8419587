"""What rules of a router log, as `tcpdump -i nflog:GROUP` writes it, beside a capture on `any`.

The oracles are tshark's reading of the messages, the rules themselves, which name their hook in
what they log, and the stamps of the other capture.
"""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.routed import routed, run
from tests.kernel.wire import Dump, until_marked
from tracer.core.address import decode_ip
from tracer.core.batch import ObservationBatch
from tracer.core.enums import Decode
from tracer.core.point import Direction
from tracer.sources.read import ReadResult, read

pytestmark = pytest.mark.kernel
HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
OUTWARD = HOOKS[2:]
MARK = b"the-logging-ends"
FIELDS = (
    *("frame.time_epoch", "nflog.timestamp", "nflog.prefix", "nflog.ifindex_indev"),
    *("nflog.ifindex_outdev", "ip.src", "ip.dst", "ip.ttl", "ip.id"),
)


@dataclass(frozen=True)
class Logged:
    """The two captures read, and what tshark says of the log, a message each."""

    log: ReadResult
    devices: ObservationBatch
    told: list[dict[str, str]]


@pytest.fixture(scope="module")
def logged(
    require_kernel: Callable[[bool, str], None], tmp_path_factory: pytest.TempPathFactory
) -> Logged:
    require_kernel(os.geteuid() == 0, "network namespaces need root")
    folder = tmp_path_factory.mktemp("nflog")
    log, devices = folder / "router-log.pcap", folder / "router-any.pcap"
    with routed("nflog") as net:
        chains = "".join(
            f"chain c_{hook} {{ type filter hook {hook} priority -200; "
            f'ip protocol icmp log prefix "{hook}" group 5; }}\n'
            for hook in HOOKS
        )
        rules = folder / "rules.nft"
        rules.write_text(f"table ip logs {{\n{chains}}}\n")
        run(f"ip netns exec {net.router} nft -f {rules}")
        places = (("nflog:5", log, ""), ("any", devices, "-y LINUX_SLL2 icmp"))
        dumps = (Dump(net.router, device, file, more) for device, file, more in places)
        with until_marked(dumps, MARK):
            net.ping(options="-c7")
            net.ping("10.7.1.1", options="-c3")
            run(f"ip netns exec {net.router} ping -c3 -i0.01 -W1 10.7.2.2")
            net.ping(options=f"-c1 -p {MARK.hex()}")
    return Logged(read([log]), read([devices]).batch, told(log))


def told(path: Path) -> list[dict[str, str]]:
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=/t"]
    command += [word for name in FIELDS for word in ("-e", name)]
    environment = {**os.environ, "TZ": "UTC"}
    text = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in text.stdout.splitlines()]


def rows(batch: ObservationBatch) -> list[Any]:
    return [(row, batch.points[row["point"]]) for row in batch.packets]


def test_messages_are_packets_at_the_hook_and_device_that_the_rule_says(logged: Logged) -> None:
    batch = logged.log.batch
    assert len(batch) == len(logged.told) > 50
    assert set(batch.packets["decode"]) == {Decode.COMPLETE}
    for (row, point), want in zip(rows(batch), logged.told, strict=True):
        is_out = want["nflog.prefix"] in OUTWARD
        number = want["nflog.ifindex_outdev" if is_out else "nflog.ifindex_indev"]
        assert point.hook == want["nflog.prefix"]
        assert point.device == f"if{number}"
        assert point.direction == (Direction.EGRESS if is_out else Direction.INGRESS)
        assert decode_ip(int(row["src_hi"]), int(row["src_lo"])) == want["ip.src"]
        assert decode_ip(int(row["dst_hi"]), int(row["dst_lo"])) == want["ip.dst"]
        assert (row["ttl"], row["ip_id"]) == (int(want["ip.ttl"]), int(want["ip.id"], 16))
    assert {point.hook for point in batch.points} == {*HOOKS}


def test_times_are_the_kernels_and_never_when_tcpdump_read_the_log(logged: Logged) -> None:
    last, untimed = -1, 0
    for (row, point), want in zip(rows(logged.log.batch), logged.told, strict=True):
        if want["nflog.timestamp"]:
            fraction = want["nflog.timestamp"].partition(".")[2].split()[0]
            assert row["time_ns"] % 10**9 == int(fraction.ljust(9, "0")[:9])
            last = max(last, int(row["time_ns"]))
            continue
        assert point.hook in ("output", "postrouting")
        seconds, _, fraction = want["frame.time_epoch"].partition(".")
        waited = int(seconds + fraction) - last
        is_forwarded = bool(want["nflog.ifindex_indev"]) and 0 <= waited < 1_000_000
        assert row["time_ns"] == (last if is_forwarded else -1)
        untimed += not is_forwarded
    (warning,) = logged.log.warnings
    assert (warning.kind, warning.count) == ("late-stamps", untimed)


def test_what_comes_in_has_the_time_that_the_device_shows(logged: Logged) -> None:
    shown = {
        (point.device, int(row["ip_id"]), int(row["icmp_seq"])): int(row["time_ns"])
        for row, point in rows(logged.devices)
        if point.direction is Direction.INGRESS
    }
    arrived = [(row, p) for row, p in rows(logged.log.batch) if p.hook == "prerouting"]
    assert len(arrived) == len(shown) > 20
    for row, point in arrived:
        key = (point.device, int(row["ip_id"]), int(row["icmp_seq"]))
        # Each stamps for itself what came before the kernel had begun to stamp for both.
        assert abs(int(row["time_ns"]) - shown[key]) < 1_000_000
