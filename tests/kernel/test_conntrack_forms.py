"""Conntrack's forms as the kernel and conntrack(8) print them of a scenario's own entries."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from scenarios.catalogue import make
from scenarios.conntrack_text import printed
from scenarios.scenario import Scenario
from scenarios.scoring import score

from tracer.core.conntrack import ConntrackEntry
from tracer.core.enums import Evidence
from tracer.correlate.join import join
from tracer.sources.conntrack import read_conntrack

LISTED = {
    "plain": "conntrack -L",
    "extended": "conntrack -L -o extended",
    "id": "conntrack -L -o id",
    "xml": "conntrack -L -o xml",
    "proc": "cat /proc/net/nf_conntrack",
}
STAMPED = {
    "text": "TZ=Asia/Kolkata conntrack -L -o ktimestamp",
    "xml": "conntrack -L -o xml,ktimestamp",
}
SECOND = 1_000_000_000
KOLKATA_NS = 11 * 1800 * SECOND


def made(entry: ConntrackEntry) -> str:
    """Return the command that makes an entry."""
    there, back = entry.original, entry.reply
    return (
        f"conntrack -I -p udp -s {there.src} -d {there.dst} -r {back.src} -q {back.dst} "
        f"--sport {there.sport} --dport {there.dport} --reply-port-src {back.sport} "
        f"--reply-port-dst {back.dport} -t 600"
    )


@pytest.fixture(scope="module")
def scenario(require_kernel: Callable[[bool, str], None]) -> Scenario:
    tools = ("conntrack", "unshare")
    require_kernel(all(map(shutil.which, tools)), "conntrack and unshare are needed")
    return make("udp_equal_conntrack", 5, 0.2)


@pytest.fixture(scope="module")
def texts(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The forms' texts, from a namespace without a name that has these entries."""
    folder = tmp_path_factory.mktemp("conntrack")
    log = folder / "events"
    # A listener is known to listen once it shows an entry made and destroyed for that.
    wait = (
        f"conntrack -E -o timestamp >{log} & listener=$!; "
        f"until [ -s {log} ]; do conntrack -I -p udp -s 192.0.2.1 -d 192.0.2.2 --sport 1 "
        "--dport 1 -t 9; conntrack -D -s 192.0.2.1; done"
    )
    lists = [f"{command} >{folder / form}" for form, command in LISTED.items()]
    lists += [f"{command} >{folder / form}-stamped" for form, command in STAMPED.items()]
    last = scenario.conntrack[-1].original
    heard = f"until grep -q 'NEW.* src={last.src} .*sport={last.sport} ' {log}; do :; done"
    stamps = "echo 1 >/proc/sys/net/netfilter/nf_conntrack_timestamp"
    script = [stamps, wait, *map(made, scenario.conntrack), *lists, heard, "kill $listener"]
    subprocess.run(
        ["unshare", "-n", "sh", "-c", "; ".join(script)], check=True, capture_output=True,
        timeout=60,
    )  # fmt: skip
    forms = (*LISTED, "events", *(f"{form}-stamped" for form in STAMPED))
    return {form: (folder / form).read_text() for form in forms}


@pytest.mark.kernel
@pytest.mark.parametrize("form", [*LISTED, "events"])
def test_the_kernels_own_text_proves_the_joins(
    form: str, scenario: Scenario, texts: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "host0-conntrack-ns1.txt"
    path.write_text(texts[form])
    entries, warnings = read_conntrack(path)
    assert warnings == []
    tuples = {(entry.original, entry.reply) for entry in entries}
    wanted = {(entry.original, entry.reply) for entry in scenario.conntrack}
    assert tuples >= wanted
    # The entries are of now, the packets of the simulation's time: only a log says so.
    found = join(scenario.batch, entries)
    proven = int((found.hops["evidence"] == Evidence.CONNTRACK).sum())
    assert (proven == 0) if form == "events" else (proven > 0)
    assert form == "events" or score(scenario, found).problems == ()


@pytest.mark.kernel
@pytest.mark.parametrize("form", LISTED)
def test_the_text_that_tests_print_reads_as_the_kernels(
    form: str, scenario: Scenario, texts: dict[str, str]
) -> None:
    ours, _ = read_conntrack(printed(scenario.conntrack, form))
    theirs, _ = read_conntrack(texts[form].encode())
    told = {(e.original, e.reply, e.zone, e.mark, e.ct_id is None) for e in theirs}
    assert {(e.original, e.reply, e.zone, e.mark, e.ct_id is None) for e in ours} == told


@pytest.mark.kernel
def test_the_kernels_stamps_are_those_of_the_events(
    scenario: Scenario, texts: dict[str, str]
) -> None:
    by_form = {}
    for form in ("text-stamped", "xml-stamped", "events"):
        entries, warnings = read_conntrack(texts[form].encode(), host="host0")
        assert warnings == []
        by_form[form] = {(e.original, e.reply): e for e in entries if e.event in (None, "NEW")}
    text, xml = by_form["text-stamped"], by_form["xml-stamped"]
    assert len(xml) == len(scenario.conntrack)
    assert text.keys() == xml.keys()
    for way, entry in xml.items():
        start_ns, reported_ns = entry.start_ns or 0, by_form["events"][way].time_ns or 0
        assert 0 <= reported_ns - start_ns < SECOND
        local = start_ns // SECOND * SECOND + KOLKATA_NS
        assert (text[way].start_ns, text[way].is_local, entry.is_local) == (local, True, False)
    # They are of now, the packets of the simulation's time: local time of no zone says nothing.
    proven = [
        int(
            (join(scenario.batch, list(form.values())).hops["evidence"] == Evidence.CONNTRACK).sum()
        )
        for form in (xml, text)
    ]
    assert proven[0] == 0 < proven[1]
