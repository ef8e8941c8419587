"""Large captures, joined in windows, give what is given when all are held."""

import json
import os
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenarios.clocks import EPOCH
from scenarios.elements import Link
from scenarios.pcap import frame_bytes
from scenarios.places import EXTERNAL, FIXED, line
from scenarios.traffic import datagrams
from scenarios.world import Scenario, World
from sources.files import block, enhanced, interface, option, section

from cli.conftest import Run
from tracer.cli import windows
from tracer.correlate.windows import stream
from tracer.correlate.windows.ordered import Horizon
from tracer.sources import read


def outcome(run: Run, *arguments: object, summary: Path) -> tuple[list[str], Any]:
    """The journeys in no order, and the summary."""
    result = run("offline", *arguments, "--format", "jsonl", "--summary", summary)
    assert result.exit_code == 0, result.output
    journeys = [json.loads(line) for line in result.stdout.splitlines()]
    said = json.loads(summary.read_text())
    return sorted(json.dumps(journey) for journey in journeys), said


@pytest.mark.parametrize("folder", ["fip-outbound", "two-tenants"])
def test_windows_give_the_same_journeys_and_summary(
    folder: str, captures: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, said = outcome(run, captures / folder, summary=tmp_path / "whole.json")
    monkeypatch.setattr(windows, "LARGE", 0)
    parts, also_said = outcome(run, captures / folder, summary=tmp_path / "parts.json")
    assert parts == whole
    assert also_said == said


def test_windows_give_the_same_pseudonyms(
    captures: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_bytes(bytes(range(32)))
    asked = (captures / "fip-outbound", "--redact-key", tmp_path / "key")
    whole, said = outcome(run, *asked, summary=tmp_path / "whole.json")
    monkeypatch.setattr(windows, "LARGE", 0)
    parts, also_said = outcome(run, *asked, summary=tmp_path / "parts.json")
    assert parts == whole
    assert also_said == said


def test_a_journey_is_explained_though_captures_are_large(
    captures: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("offline", captures / "fip-outbound", "--explain-joins", 3)
    whole = run(*asked).stdout
    assert "why the hops of journey #3 are one packet" in whole
    assert "rule: -A neutron-l3-agent-float-snat" in whole
    monkeypatch.setattr(windows, "LARGE", 0)
    assert run(*asked).stdout == whole


def test_a_filter_and_a_count_apply_to_all_windows(
    captures: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = (captures / "fip-outbound", "--proto", "icmp", "--count", 2)
    whole, _ = outcome(run, *asked, summary=tmp_path / "whole.json")
    monkeypatch.setattr(windows, "LARGE", 0)
    parts, said = outcome(run, *asked, summary=tmp_path / "parts.json")
    assert parts == whole
    assert said["shown"] == len(parts) > 0


def test_only_large_captures_are_joined_in_windows(captures: Path, tmp_path: Path) -> None:
    with (tmp_path / "large.pcap").open("wb") as file:
        file.truncate(windows.LARGE)
    assert windows.is_large([str(tmp_path)], {})
    assert windows.is_large([], {"eth0": str(tmp_path / "large.pcap")})
    assert not windows.is_large([str(captures / "fip-outbound"), "-"], {})


def write_pcapngs(folder: Path, loss: float) -> int:
    """Write captures of four points whose third says at its end what it lost; return that."""
    world = World(3)
    chain = line(world, 4, per_host=2)
    next(each for each in chain.elements[3:] if isinstance(each, Link)).loss = loss
    world.run(chain, datagrams(world, FIXED, EXTERNAL, 2000, flows=8))
    world.captures[2].missed = 0.05
    scenario = world.finish("counter")
    passed = sum(len(seen) for point, _, seen in world.seen if point == 2)
    dropped = passed - int((scenario.batch.packets["point"] == 2).sum())
    write_scenario(folder, scenario, {2: dropped})
    return dropped


def write_scenario(folder: Path, scenario: Scenario, dropped: Mapping[int, int]) -> None:
    """Write a pcapng file each capture; some say at their end how many packets they dropped."""
    packets, frames = scenario.batch.packets, list(frame_bytes(scenario))
    for number, name in enumerate(scenario.batch.captures):
        data = section() + interface(options=option(9, b"\x09"))
        for row in np.flatnonzero(packets["capture"] == number).tolist():
            data += enhanced(frames[row], int(packets["time_ns"][row]))
        if number in dropped:
            counter = option(5, struct.pack("<Q", dropped[number]))
            data += block(5, struct.pack("<III", 0, 0, 0) + counter)
        (folder / f"{Path(name).stem}.pcapng").write_bytes(data)


def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Join all captures in windows, of hundreds of rows."""
    monkeypatch.setattr(windows, "LARGE", 0)
    monkeypatch.setattr(windows, "_MOST_ROWS", 800)
    monkeypatch.setattr(read, "LEAST_ROWS", 200)
    horizon = Horizon(quiet_ns=30_000_000, answer_ns=60_000_000)
    options = (*stream.join_windows.__defaults__[:2], 800, horizon)
    monkeypatch.setattr(stream.join_windows, "__defaults__", (*options, iter, ()))
    monkeypatch.setattr(stream.judged_gaps, "__defaults__", (*options, iter))


@pytest.mark.parametrize("loss", [0.0, 0.03])
def test_what_a_capture_says_it_lost_comes_out_the_same(
    loss: float, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "captures"
    folder.mkdir()
    dropped = write_pcapngs(folder, loss)
    whole, said = outcome(run, folder, summary=tmp_path / "whole.json")
    small_windows(monkeypatch)
    parts, also_said = outcome(run, folder, summary=tmp_path / "parts.json")
    assert parts == whole
    assert also_said == said
    assert said["lost"] == {"capture_dropped": dropped}
    reasons = Counter(json.loads(journey)["reason"] for journey in whole)
    assert (f"or lost by the next capture, which dropped {dropped} packets at that time" in reasons
            ) == (loss > 0)  # fmt: skip
    assert (said["outcomes"].get("vanished", 0) > 0) == (loss > 0)


def test_where_packets_go_on_from_is_known_of_those_that_came_before(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The last capture begins in the middle: until then nothing says that packets go on.
    folder = tmp_path / "captures"
    folder.mkdir()
    world = World(3)
    chain = line(world, 4, per_host=2)
    world.run(chain, datagrams(world, FIXED, EXTERNAL, 2000, flows=8))
    world.captures[3].start_ns = EPOCH + 1_000_000_000
    write_scenario(folder, world.finish("late"), {})
    whole, said = outcome(run, folder, summary=tmp_path / "whole.json")
    unfinished = said["outcomes"]["unfinished"]
    assert unfinished > 900
    small_windows(monkeypatch)
    early, warned = outcome(run, folder, summary=tmp_path / "early.json")
    (warning,) = warned["warnings"]
    assert warning["kind"] == "judged-early"
    assert warning["count"] == len(set(early) - set(whole)) > 600
    file = tmp_path / "journeys.jsonl"
    result = run("offline", folder, "-o", file, "--summary", tmp_path / "again.json")
    assert result.exit_code == 0, result.output
    assert sorted(file.read_text().splitlines()) == sorted(
        json.dumps(json.loads(line), ensure_ascii=False, separators=(",", ":")) for line in whole
    )
    assert json.loads((tmp_path / "again.json").read_text()) == said


def test_a_stream_beside_large_captures_is_read_once(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "captures"
    folder.mkdir()
    write_pcapngs(folder, 0.03)
    files = sorted(folder.iterdir())
    whole, _ = outcome(run, *files, summary=tmp_path / "whole.json")
    stream_ = tmp_path / files[-1].name
    os.mkfifo(stream_)
    code = (
        "from tracer.cli import main, windows; windows.LARGE = 0; "
        f"main(['offline', '--format', 'jsonl', *{[str(f) for f in (*files[:-1], stream_)]}])"
    )
    writer = threading.Thread(target=stream_.write_bytes, args=(files[-1].read_bytes(),))
    writer.start()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    writer.join()
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(whole)
