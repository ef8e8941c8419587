"""`tracer follow` from start to end: its command, its files, its signals, what it leaves."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from follower import Follower, pinged, tracer, wait_for
from routed import Routed, routed, run

from tracer.correlate.windows.settling import LOST_REASON

pytestmark = pytest.mark.kernel
ID = 30_001
#: All that tracer makes use of but for CAP_SYS_ADMIN.
CAPABILITIES = "-all,+bpf,+perfmon,+net_admin,+sys_ptrace,+dac_override"
NAT_LINKS = 16  # before and after, at four hooks, IPv4 and IPv6


@pytest.fixture(scope="module")
def net() -> Iterator[Routed]:
    with routed("fol") as built:
        built.ping()  # neighbours are known from here on
        yield built


def ping(net: Routed, number: int, more: str = "-c1", target: str = "10.7.2.2") -> list[str]:
    """The words of a ping with that id."""
    line = f"ip netns exec {net.client} ping -i0.01 -W1 -e {number} {more} {target}"
    return line.split()


def follow(*options: str, number: int = ID) -> "subprocess.CompletedProcess[str]":
    words = tracer("follow", "--icmp-id", str(number), *options)
    return subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)


def test_the_commands_words_and_status_are_passed_on(net: Routed) -> None:
    done = follow("--", *ping(net, ID, target="10.7.2.2"))
    assert done.returncode == 0
    assert "1 packets transmitted" in done.stderr  # its standard output is not the journeys'
    assert "transmitted" not in done.stdout
    assert len(re.findall("^#1 ICMP echo request 10.7.1.2 → 10.7.2.2", done.stdout, re.M)) == 1
    assert "SNAT 10.7.1.2→10.7.2.1" in done.stdout
    assert "2 delivered" in done.stderr
    done = follow("--", "sh", "-c", "exit 7")
    assert (done.returncode, done.stdout) == (7, "")
    assert follow("--", "sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM
    done = follow("--", "no-such-command")
    assert done.returncode == 1
    assert "no-such-command cannot be run: No such file or directory." in done.stderr


def test_it_ends_after_so_many_exchanges_or_seconds(net: Routed, tmp_path: Path) -> None:
    with Follower(tmp_path, "count", "--icmp-id", str(ID), "--count", "2") as follower:
        subprocess.run(ping(net, ID, "-c5"), check=True, capture_output=True)
        follower.ended()
    assert follower.status == 0
    assert [j["kind"] for j in follower.journeys] == ["echo-request", "echo-reply"] * 2
    done = follow("--duration", "0.2", "--format", "jsonl")
    assert (done.returncode, done.stdout) == (0, "")


def test_hops_go_to_tables(net: Routed, tmp_path: Path) -> None:
    file = tmp_path / "hops.parquet"
    assert follow("-o", str(file), "--", *ping(net, ID)).returncode == 0
    rows = pq.read_table(file).to_pylist()
    assert [row["device"] for row in rows if row["direction"]] == [
        "c0", "r0", None, "r1", "s0", "s0", "r1", None, "r0", "c0",
    ]  # fmt: skip
    done = follow("--format", "csv", "--", *ping(net, ID))
    assert len(done.stdout.splitlines()) == 1 + len(rows)


def test_files_that_cannot_be_written_are_told_at_once(tmp_path: Path) -> None:
    done = follow("--write", "journeys.txt")
    assert done.returncode == 2
    assert "'journeys.txt' does not end in .parquet or .pcapng" in done.stderr
    done = follow("--ready-file", str(tmp_path / "none" / "ready"))
    assert done.returncode == 1
    assert "cannot be written: its folder does not exist." in done.stderr
    assert "Traceback" not in done.stderr


def test_with_redaction_no_name_or_address_is_in_any_output(net: Routed, tmp_path: Path) -> None:
    key, file = tmp_path / "key", tmp_path / "kept.pcapng"
    key.write_text("a key for this test alone")
    key.chmod(0o600)
    options = ["--icmp-id", str(ID), "--redact-key", str(key), "--write", str(file)]
    with Follower(tmp_path, "red", *options) as follower:
        subprocess.run(ping(net, ID, "-c2 -p c0ffee"), check=True, capture_output=True)
        follower.wait(lambda j: j["kind"] == "echo-reply", "replies", 2)
    later = tracer("offline", str(file), "--format", "jsonl")
    words = subprocess.run(later, check=True, capture_output=True, text=True).stdout
    told = follower.out.read_text()
    for text in (told, words, follower.errors, json.dumps(follower.summary)):
        assert not re.search(rf"10\.7\.|{net.client}|{net.router}|\"[crs][01]\"", text)
    raw = file.read_bytes()
    for secret in (
        bytes([10, 7, 1, 2]),
        bytes([10, 7, 2, 2]),
        net.client.encode(),
        b"\xc0\xff\xee",
    ):
        assert secret not in raw
    # What is told apart stays apart, what is the same stays the same, live and later.
    assert [hop["src"] for j in follower.journeys for hop in j["hops"]] == [
        hop["src"] for line in words.splitlines() for hop in json.loads(line)["hops"]
    ]
    request = follower.journeys[0]
    assert len({hop["src"] for hop in request["hops"]}) == 2
    assert [hop["ttl"] for hop in request["hops"]] == [64, 64, 63, 63, 63]


def attached() -> tuple[set[str], set[str]]:
    """Ids of the BPF programs and links of this host, and what is pinned."""
    found = [run(f"bpftool {kind} show") for kind in ("prog", "link")]
    ids = {
        f"{kind}{n}" for kind, text in enumerate(found) for n in re.findall(r"^(\d+):", text, re.M)
    }
    return ids, {str(path) for path in Path("/sys/fs/bpf").rglob("*")}


def ours(process: "subprocess.Popen[bytes]") -> set[str]:
    """Ids of the programs and links that a process holds."""
    found = set()
    for file in Path(f"/proc/{process.pid}/fdinfo").iterdir():
        with suppress(OSError):  # closed meanwhile
            text = file.read_text()
            found |= {f"0{n}" for n in re.findall(r"^prog_id:\s*(\d+)", text, re.M)}
            found |= {f"1{n}" for n in re.findall(r"^link_id:\s*(\d+)", text, re.M)}
    return found


@pytest.mark.parametrize("engine", ["core", "bcc"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_it_and_nothing_stays(
    net: Routed, tmp_path: Path, engine: str, number: signal.Signals
) -> None:
    pinned = attached()[1]
    with Follower(tmp_path, "s", "--icmp-id", str(ID), "--engine", engine) as follower:
        subprocess.run(ping(net, ID), check=True, capture_output=True)
        follower.wait(lambda j: j["kind"] == "echo-reply", "a journey")
        held = ours(follower.process)
        assert held & attached()[0]
        follower.stop(number)
    assert follower.status == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    wait_for(lambda: not held & attached()[0], "programs and links to go")
    assert attached()[1] <= pinned
    if number != signal.SIGKILL:
        assert follower.summary["journeys"] == 2
        assert "2 delivered" in follower.errors


def test_what_is_on_its_way_is_shown_when_it_is_ended(net: Routed, tmp_path: Path) -> None:
    with Follower(tmp_path, "end", "--icmp-id", str(ID), "--settle", "60") as follower:
        net.ping_in_vain(f"-t1 -e {ID}")
    (request,) = (j for j in follower.journeys if j["kind"] == "echo-request")
    assert request["hops"][0]["icmp_id"] == ID


def test_namespaces_that_appear_meanwhile_are_followed_by_name_and_through_nat(
    tmp_path: Path,
) -> None:
    number = ID + 1
    with Follower(tmp_path, "late", "--icmp-id", str(number)) as follower, ExitStack() as stack:
        held = len(ours(follower.process))
        net = stack.enter_context(routed("late"))
        wait_for(lambda: len(ours(follower.process)) >= held + NAT_LINKS, "links around its NAT")
        net.ping(options=f"-c1 -e {number}")
        follower.wait(lambda j: j["kind"] == "echo-reply", "the reply")
    request, reply = follower.journeys
    places = [(hop["netns"], hop["device"] or hop["hook"]) for hop in request["hops"]]
    assert places == [
        (net.client, "c0"), (net.router, "r0"), (net.router, "postrouting"),
        (net.router, "r1"), (net.server, "s0"),
    ]  # fmt: skip
    assert reply["hops"][-1]["netns"] == net.client


def test_a_full_ring_is_counted_and_told_where_it_matters(net: Routed, tmp_path: Path) -> None:
    small = ["--ring-size", "1", "--settle", "0.5"]
    with Follower(tmp_path, "ring", "--icmp-id", str(ID), *small) as follower:
        for _ in range(3):
            follower.process.send_signal(signal.SIGSTOP)  # nobody reads meanwhile
            run(f"ip netns exec {net.client} ping -q -f -e {ID} -c 500 10.7.2.2")
            before = follower.out.stat().st_size
            follower.process.send_signal(signal.SIGCONT)
            wait_for(lambda before=before: follower.out.stat().st_size > before, "journeys")  # type: ignore[misc]
    lost = follower.summary["lost"]["ring_full"]
    assert lost > 0
    assert f"lost by tracer, not by the network: {lost} ring full" in follower.errors
    outcomes = {j["outcome"] for j in follower.journeys}
    assert not outcomes & {"vanished", "dropped"}
    told = [j for j in follower.journeys if j["reason"] == LOST_REASON]
    assert 0 < len(told) <= 6  # the one that was cut, and its answer
    assert any(j["outcome"] == "lost-by-tracer" for j in told)


MANY_FLOWS = """
import socket
for port in range(20000, 22000):
    with socket.socket(type=socket.SOCK_DGRAM) as one:
        one.bind(("", port))
        one.sendto(b"x", ("10.7.2.2", 9))
"""


def test_full_maps_are_told(net: Routed, tmp_path: Path) -> None:
    with Follower(tmp_path, "maps", "--host", "10.7.0.0/16", "--map-size", "16") as follower:
        words = ["ip", "netns", "exec", net.client, sys.executable, "-c", MANY_FLOWS]
        subprocess.run(words, check=True)
        follower.wait(lambda j: j["hops"][0]["sport"] == 21999, "the last flow")
    (warning,) = follower.summary["warnings"]
    assert (warning["kind"], warning["count"] > 2000) == ("flows-forgotten", True)
    assert "the map of flows was full (--map-size makes it larger)" in follower.errors


def test_flows_that_are_over_are_forgotten_without_any_loss(net: Routed, tmp_path: Path) -> None:
    """Each flow has four keys: both directions, on both sides of NAT."""
    with Follower(tmp_path, "over", "--host", "10.7.0.0/16", "--map-size", "4096") as follower:
        words = ["ip", "netns", "exec", net.client, sys.executable, "-c", MANY_FLOWS]
        subprocess.run(words, check=True)
        follower.wait(lambda j: j["hops"][0]["sport"] == 21999, "the last flow")
    (warning,) = follower.summary["warnings"]
    assert warning["kind"] == "flows-forgotten"
    assert set(follower.summary["lost"].values()) == {0}
    datagrams = [j for j in follower.journeys if j["kind"] == "udp"]
    assert {j["hops"][0]["sport"] for j in datagrams} == set(range(20000, 22000))
    assert {j["hops"][-1]["device"] for j in datagrams} == {"s0"}
    assert "lost by tracer" not in follower.errors
    assert not any(j["reason"] == LOST_REASON for j in follower.journeys)


def test_another_user_is_told_to_use_sudo() -> None:
    words = tracer("follow", "--icmp-id", "1")
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", *words],
        capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "needs root" in done.stderr
    assert "sudo" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_root_without_capabilities_is_told_which() -> None:
    words = ["setpriv", "--bounding-set=-sys_admin,-bpf,-perfmon"]
    words += tracer("follow", "--icmp-id", "1")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "lacks CAP_BPF" in done.stderr
    assert "--privileged" in done.stderr


@pytest.mark.parametrize("engine", ["core", "bcc"])
def test_namespaces_that_cannot_be_entered_are_told(
    net: Routed, tmp_path: Path, engine: str
) -> None:
    """Inside the router's namespace, without what it takes to enter another one."""
    under = ["ip", "netns", "exec", net.router, "setpriv", f"--bounding-set={CAPABILITIES}"]
    options = ("--engine", engine, "--icmp-id", str(ID))
    with Follower(tmp_path, f"own-{engine}", *options, under=under) as follower:
        subprocess.run(ping(net, ID), check=True, capture_output=True)
        follower.wait(lambda j: pinged(j, ID) and j["reply"] is not None, "the ping")
    (warning,) = follower.summary["warnings"]
    assert warning["kind"] == "namespaces-unwatched"
    (ready, said) = follower.errors.splitlines()[:2]
    found = re.search(r"netfilter hooks, but not in (\d+) network namespaces\);", ready)
    assert found is not None
    assert int(found[1]) >= 2  # the client's and the server's
    why = "Operation not permitted: entering one needs CAP_SYS_ADMIN"
    assert said.startswith(f"tracer: NAT is not watched in {found[1]} network namespaces ({why}):")
    assert why in warning["message"]  # others may have come meanwhile
    (sent,) = (j for j in follower.journeys if pinged(j, ID))
    assert [(h["device"], h["hook"]) for h in sent["hops"] if h["netns"] == net.router] == [
        ("r0", None), (None, "postrouting"), ("r1", None),
    ]  # fmt: skip
    assert {h["device"] for h in sent["hops"] if h["netns"] != net.router} == {"c0", "s0"}


def test_json_comes_line_by_line(net: Routed) -> None:
    words = tracer("follow", "--icmp-id", str(ID), "--format", "jsonl")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        while b"ready" not in process.stderr.readline():
            pass
        subprocess.run(ping(net, ID), check=True, capture_output=True)
        assert json.loads(process.stdout.readline())["kind"] == "echo-request"
        assert json.loads(process.stdout.readline())["kind"] == "echo-reply"
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == 0
