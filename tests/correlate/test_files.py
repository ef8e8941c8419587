"""From files to journeys: what is decoded of a scenario's pcap files is joined as required."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scenarios.catalogue import make
from scenarios.pcap import write_pcaps
from scenarios.scoring import score

from tracer.core.batch import ObservationBatch
from tracer.correlate.join import join
from tracer.sources.read import read

NAMES = ("udp_equal", "udp_equal_spaced", "udp_dns", "tcp_selective_acks", "tcp_window_probes",
         "icmp6_equal_spaced", "icmp6_errors_nat", "conntrack_reuse", "snaplens")  # fmt: skip


def in_order_of(batch: ObservationBatch, wanted: ObservationBatch) -> ObservationBatch:
    """Return a batch's rows in the order of another's, by capture and frame, with its points."""
    names = [Path(name).name for name in batch.captures]
    capture = np.array([wanted.captures.index(name) for name in names])[batch.packets["capture"]]
    rows = np.lexsort((batch.packets["frame"], capture))
    found = batch.take(rows[np.argsort(np.lexsort((wanted.packets["frame"],
                                                   wanted.packets["capture"])))])  # fmt: skip
    found.packets["capture"] = wanted.packets["capture"]
    found.packets["point"] = wanted.packets["point"]
    return replace(found, captures=wanted.captures, points=wanted.points)


def udp_checksums(paths: list[Path]) -> set[int]:
    """Return the checksums of all UDP datagrams in files of IPv4 frames without tags."""
    found = set()
    for path in paths:
        data, at = path.read_bytes(), 24
        while at < len(data):
            size = int.from_bytes(data[at + 8 : at + 12], "little")
            frame = data[at + 16 : at + 16 + size]
            if frame[12:14] == b"\x08\x00" and frame[23] == 17:
                found.add(int.from_bytes(frame[40:42], "big"))
            at += 16 + size
    return found


@pytest.mark.parametrize("name", NAMES)
def test_decoded_files_are_joined_as_the_columns_are(name: str, tmp_path: Path) -> None:
    scenario = make(name, 9, 0.2)
    paths = write_pcaps(scenario, tmp_path)
    decoded = in_order_of(read([tmp_path]).batch, scenario.batch)
    found = score(scenario, join(decoded, scenario.conntrack))
    assert found.problems == ()
    if name.startswith("udp_equal"):  # these are sent without a checksum
        assert udp_checksums(paths) == {0}
