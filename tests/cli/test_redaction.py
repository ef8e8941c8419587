"""`--redact`: nothing that names anybody is left in any output, and the journeys stay the same."""

import gzip
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from cli.conftest import Run, Spawn
from tests.conftest import CAPTURES
from tracer.core.errors import InputError

FOLDERS = sorted(path.name for path in CAPTURES.iterdir() if path.is_dir())
KEY = "a key for tests, of no use elsewhere"
# Addresses that are anybody's; a host's name that is a word of the output (`role`: vm).
ANYBODYS = {"0.0.0.0", "::", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "255.255.255.255", "vm"}
ANYBODYS |= {"ff02::2", "33:33:00:00:00:02", "ff02::16", "33:33:00:00:00:16"}  # all routers
ANYBODYS.add("c0")  # a byte of every hex dump, too
ANYBODYS_DEVICES = re.compile(r"(en|eth|lo|vxlan_sys_|br-(int|ex|tun)).*")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "redact.key"
    file.write_text(KEY)
    file.chmod(0o600)
    return file


def originals(run: Run, folder: Path) -> set[str]:
    """Everything in a folder that names somebody: addresses, MACs, names, UUIDs, files."""
    found: set[str] = set()
    for line in run("observations", folder, "--format", "jsonl").stdout.splitlines():
        for name, value in json.loads(line).items():
            if isinstance(value, str) and re.search(
                r"src|dst|mac|_ip$|gateway|^(host|netns|device|clock|capture)$", name
            ):
                found.add(value)
    digests = {name for name in found if re.fullmatch(r"[0-9a-f]{16}", name)}
    parts = {uuid for name in found for uuid in re.findall(r"[0-9a-f]{8}-[0-9a-f-]+", name)}
    parts |= {uuid[:10] for uuid in parts} | {Path(name).stem for name in found if ".pcap" in name}
    kept = {name for name in found if ANYBODYS_DEVICES.fullmatch(name)}
    return (found | parts) - ANYBODYS - digests - kept


def texts(run: Run, folder: Path, key: Path, target: Path) -> Iterator[tuple[str, str]]:
    """Every output of a folder, redacted, as text."""
    redact = ("--redact-key", key, "--summary", target / "summary.json")
    for form in ("text", "jsonl", "csv"):
        done = run("offline", folder, "--format", form, *redact)
        yield form, done.stdout + done.stderr
    yield "summary", (target / "summary.json").read_text()
    for form in ("jsonl", "csv"):
        yield form, run("observations", folder, "--format", form, *redact).output
    for command in ("offline", "observations"):
        run(command, folder, "-o", target / f"{command}.parquet", *redact)
        yield "parquet", str(pyarrow.parquet.read_table(target / f"{command}.parquet").to_pylist())
    run("offline", folder, "-o", target / "out.pcapng", *redact)
    shown = subprocess.run(
        ["tshark", "-n", "-V", "-x", "-r", str(target / "out.pcapng")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    yield "pcapng", shown.stdout


def standing_alone(name: str, text: str) -> bool:
    if name not in text or re.match(r"[0-9a-f]{8}-", name):
        return name in text  # a UUID, whole or its start, counts inside other names as well
    return bool(re.search(rf"(?<![\w.:-]){re.escape(name)}(?![\w:-])", text))


@pytest.mark.parametrize("folder", FOLDERS)
def test_nobody_is_named(folder: str, tmp_path: Path, key: Path, run: Run) -> None:
    names = originals(run, CAPTURES / folder)
    assert len(names) > 30
    plain = run("offline", CAPTURES / folder, "--format", "csv").stdout
    assert sum(standing_alone(name, plain) for name in names) > 30
    for form, text in texts(run, CAPTURES / folder, key, tmp_path):
        assert len(text) > 500
        assert {name for name in names if standing_alone(name, text)} == set(), form


@pytest.mark.parametrize("folder", FOLDERS)
def test_journeys_are_the_same(folder: str, key: Path, run: Run) -> None:
    plain, redacted = (
        [json.loads(line) for line in run("offline", CAPTURES / folder, "--format", "jsonl",
                                          *options).stdout.splitlines()]
        for options in ((), ("--redact-key", key))
    )  # fmt: skip
    pseudonyms: dict[Any, Any] = {}
    for before, after in zip(plain, redacted, strict=True):
        numbers = (
            "journey",
            "flow",
            "kind",
            "first_ns",
            "outcome",
            "reply",
            "request",
            "ambiguous",
        )
        assert [before[name] for name in numbers] == [after[name] for name in numbers]
        for hop, other in zip(before["hops"], after["hops"], strict=True):
            same = (
                "time_ns",
                "direction",
                "sport",
                "icmp_id",
                "ttl",
                "ip_id",
                "vlan",
                "join",
                "len",
            )
            assert [hop[name] for name in same] == [other[name] for name in same]
            for kind in ("host", "netns", "device", "src", "dst", "src_mac", "dst_mac"):
                known = pseudonyms.setdefault((kind[-3:], hop[kind]), other[kind])
                assert known == other[kind]
    # One to one: nobody's pseudonym is anybody else's.
    for kind in ("src", "mac", "ost", "tns", "ice"):
        values = [other for (name, _), other in pseudonyms.items() if name == kind]
        assert len(values) == len(set(values))


def test_the_key_may_be_in_the_environment(
    key: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("offline", CAPTURES / "fip-outbound", "--count", 2)
    monkeypatch.setenv("TRACER_REDACT_KEY", KEY)
    by_variable = run(*command, "--redact").stdout
    monkeypatch.delenv("TRACER_REDACT_KEY")
    assert run(*command, "--redact-key", key).stdout == by_variable
    other = run(*command, "--redact")
    assert other.stdout != by_variable
    assert "a key for this run alone" in other.stderr


def test_keys_that_are_no_keys(tmp_path: Path, spawn: Spawn) -> None:
    short, missing = tmp_path / "short", tmp_path / "missing"
    short.write_text("secret\n")
    done = spawn("offline", CAPTURES / "fip-outbound", "--redact-key", short)
    assert (done.returncode, done.stdout) == (1, "")
    assert "has 6 bytes; it needs 16 or more." in done.stderr
    assert spawn("offline", CAPTURES / "fip-outbound", "--redact-key", missing).returncode == 1
    short.write_text(KEY)
    short.chmod(0o644)
    done = spawn("offline", CAPTURES / "fip-outbound", "--redact-key", short)
    assert done.returncode == 0
    assert f"chmod 600 {short}" in done.stderr


def test_no_payload_in_packets(tmp_path: Path, key: Path, run: Run) -> None:
    source, written = CAPTURES / "fip-inbound", tmp_path / "out.pcapng"
    payloads = set()
    for file in source.glob("*.pcap.gz"):
        plain = tmp_path / file.stem
        plain.write_bytes(gzip.decompress(file.read_bytes()))
        shown = subprocess.run(
            ["tshark", "-r", str(plain), "-T", "fields", "-e", "tcp.payload", "-e", "data.data"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        payloads |= {word for word in shown.stdout.split() if len(word) >= 32}
    assert len(payloads) > 5
    run("offline", source, "-o", written, "--redact-key", key)
    data = written.read_bytes()
    assert not any(bytes.fromhex(payload) in data for payload in payloads)


def test_a_key_is_a_short_file(captures: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(b"x" * 100_000)
    for key, said in ((Path("/dev/zero"), "is a device"), (tmp_path / "long", "has more than")):
        with pytest.raises(InputError, match=said) as caught:
            run("offline", captures / "fip-outbound", "--redact-key", key)
        assert "urandom" in str(caught.value.hint)
