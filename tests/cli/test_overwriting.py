"""What cannot be written is told at once; nothing that is read is written over, nor an output."""

import json
import os
import shutil
from pathlib import Path

import pytest

from cli.conftest import Run
from tracer.core.errors import InputError

CAPTURE = "compute03-enp175s0f1.pcap"


@pytest.fixture
def folder(captures: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(captures / "fip-outbound", tmp_path / "incident"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("{file}", "-o", "{file}", "--format", "csv"), "is one of the inputs"),
        (("{folder}", "-o", "{file}", "--format", "csv"), "is one of the inputs"),
        (("{folder}", "--summary", "{file}"), "is one of the inputs"),
        (("{folder}", "--point", "a/b={file}", "--segments", "{link}"), "is one of the inputs"),
        (("{file}", "-o", "{new}", "--segments", "{new}"), "would also be written by -o"),
        (("{folder}", "--summary", "{folder}/points.toml"), "is one of the inputs"),
        (("{file}", "--summary", "{folder}/points.toml"), "is one of the inputs"),
        (("{folder}", "--format", "csv", "-o", "{conntrack}"), "is one of the inputs"),
        (("{folder}", "--format", "csv", "-o", "{rules}"), "is one of the inputs"),
    ],
)
def test_output_that_would_destroy_something_is_refused(
    words: tuple[str, ...], said: str, folder: Path, run: Run
) -> None:
    file = folder / CAPTURE
    link = folder.parent / "link.csv"
    link.symlink_to(file)
    before = file.read_bytes()
    dumps = {kind: next((folder / kind).iterdir()) for kind in ("conntrack", "iptables")}
    names = {"conntrack": dumps["conntrack"], "rules": dumps["iptables"]}
    names |= {"file": file, "folder": folder, "link": link, "new": folder.parent / "new.csv"}
    with pytest.raises(InputError, match=said):
        run("offline", *(word.format(**names) for word in words))
    assert file.read_bytes() == before
    assert not names["new"].exists()


def test_what_a_link_in_the_folder_leads_to_is_an_input(folder: Path, run: Run) -> None:
    archive = folder.parent / "archive"
    archive.mkdir()
    (folder / CAPTURE).rename(archive / CAPTURE)
    for name, target in (("file.pcap", archive / CAPTURE), ("linked", archive)):
        incident = folder.parent / f"incident-{name}"
        incident.mkdir()
        (incident / name).symlink_to(target)
        with pytest.raises(InputError, match="is one of the inputs"):
            run("observations", incident, "--format", "csv", "-o", archive / CAPTURE)


@pytest.mark.parametrize(
    "name", ["{folder}/none/x.csv", "{file}/x.csv", "{dangling}", "{folder}/sub.csv"]
)
@pytest.mark.parametrize(
    ("command", "option"),
    [
        *(("offline", option) for option in ("-o", "--summary", "--segments")),
        ("observations", "-o"), ("observations", "--summary"), ("report", "-o"),
        ("report", "--summary"),
    ],
)  # fmt: skip
def test_output_that_cannot_be_written_is_refused_before_anything_is_read(
    command: str, name: str, option: str, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "sub.csv").mkdir()
    (tmp_path / "dangling.csv").symlink_to(tmp_path / "none" / "x.csv")
    places = {"folder": tmp_path, "file": tmp_path / "file", "dangling": tmp_path / "dangling.csv"}
    words = [command, "no-such-capture.pcap", option, name.format(**places)]
    if command == "report" and option != "-o":
        words += ["-o", str(tmp_path / "x.html")]
    # Were the capture looked for first, it would be what is told.
    with pytest.raises(InputError, match="cannot be written: ") as caught:
        run(*words)
    missing = caught.value.message.endswith("its folder does not exist.")
    assert missing == (name in ("{folder}/none/x.csv", "{dangling}"))
    said = f"`mkdir -p {tmp_path}/none` creates it." if missing else "`ls -ld "
    assert said in str(caught.value.hint)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling.csv", "file", "sub.csv"]


def test_pipes_and_devices_can_be_written(folder: Path, run: Run) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as pipe:
        result = run("offline", folder, "-o", "/dev/null", "--summary", f"/dev/fd/{writing}")
        os.close(writing)
        assert result.exit_code == 0, result.output
        assert json.load(pipe)["journeys"] > 0


@pytest.mark.parametrize("name", ["hops.parquet", "hops.csv", "journeys.jsonl"])
def test_the_same_command_can_be_given_again(name: str, folder: Path, run: Run) -> None:
    for _ in range(2):
        result = run("offline", folder, "-o", folder / name)
        assert result.exit_code == 0, result.output


def test_a_device_may_be_named_twice(folder: Path, run: Run) -> None:
    asked = ("--format", "csv", "-o", "/dev/null", "--summary", "/dev/null")
    assert run("offline", folder, *asked).exit_code == 0


@pytest.mark.parametrize("format_", ["text", "jsonl", "csv", "parquet"])
def test_names_of_files_need_not_be_utf_8(
    format_: str, folder: Path, run: Run, tmp_path: Path
) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    shutil.copyfile(bytes(folder / CAPTURE), bytes(odd) + b"/bad\xff-eth1.pcap")
    summary = tmp_path / "summary.json"
    result = run("offline", odd, "--format", format_, "-o", tmp_path / "out", "--summary", summary)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out").stat().st_size > 0
    if format_ == "jsonl":
        first = json.loads((tmp_path / "out").read_text().splitlines()[0])
        assert first["hops"][0]["capture"] == "bad\\xff-eth1.pcap"
