import hashlib
from pathlib import Path

import pytest

import tracer


def test_a_report_is_one_file_that_says_what_it_was_made_of(
    captures: Path, outbound: tracer.JourneyFrames, tmp_path: Path
) -> None:
    before = tracer.read(captures / "fip-inbound")
    path = outbound.select(proto="tcp").report(tmp_path / "a.html", "Lost <at> fpr", before)
    text = path.read_text()
    assert path == tmp_path / "a.html"
    assert "Lost &lt;at&gt; fpr" in text
    assert "proto tcp" in text
    for folder, name in (("fip-outbound", "vm-ens3.pcap"), ("fip-inbound", "vm-ens3.pcap.gz")):
        assert hashlib.sha256((captures / folder / name).read_bytes()).hexdigest() in text


def test_a_report_that_cannot_be_written(outbound: tracer.JourneyFrames, tmp_path: Path) -> None:
    with pytest.raises(tracer.InputError, match="No such file"):
        outbound.select(proto="arp").report(tmp_path / "absent" / "a.html")
