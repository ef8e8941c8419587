import hashlib
import subprocess
import sys
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


def test_a_full_disk_leaves_no_part_of_a_report(captures: Path, tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys, tracer\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "read = tracer.read(sys.argv[1])\n"
        "read.journey_set\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "read.report(sys.argv[2])\n"
    )
    file = tmp_path / "x.html"
    words = [sys.executable, "-c", code, str(captures / "fip-outbound" / "vm-ens3.pcap"), str(file)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr.splitlines()[-1].endswith("cannot be written: File too large. Name another"
                                                 " file.")  # fmt: skip
    assert not file.exists()
