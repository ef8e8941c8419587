"""What lies in a folder and below: as `find -L` lists it, and each place that is not read told."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from tracer.core.errors import InputError
from tracer.sources.folders import hindrance, walk


def files(folder: Path) -> list[str]:
    return [os.path.relpath(path, folder) for path in walk(str(folder)).files()]


def problems(folder: Path) -> list[tuple[str, str]]:
    return [(os.path.relpath(p, folder), what) for p, _, what in walk(str(folder)).problems]


def found_by_find(folder: Path) -> list[str]:
    words = ["find", "-L", ".", "-type", "f", "-not", "-path", "*/.*", "-printf", "%P\n"]
    # Loops are told on standard error, with status 1.
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    return sorted(done.stdout.splitlines())


def test_linked_folders_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    folder, archive = tmp_path / "incident", tmp_path / "archive"
    for name in ("incident/a.pcap", "incident/.hidden/b.pcap", "archive/old/c.pcap"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (folder / "linked").symlink_to(archive)
    (folder / "self").symlink_to(".")
    (folder / "up").symlink_to("..")
    (archive / "old" / "back").symlink_to(folder)
    (archive / "old" / "over").symlink_to("..")
    assert files(folder) == ["a.pcap", "linked/old/c.pcap"]
    assert sorted(files(folder)) == [p for p in found_by_find(folder) if not p.startswith("up/")]
    loop = "it is a link to a folder that it lies in; it was not followed"
    told = dict.fromkeys(("linked/old/back", "linked/old/over", "self", "up"), loop)
    assert dict(problems(folder)) == told


def test_a_folder_that_is_there_under_two_names_is_there_once(tmp_path: Path) -> None:
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "a.pcap").touch()
    (tmp_path / "alias").symlink_to("z")
    assert files(tmp_path) == ["z/a.pcap"]
    assert problems(tmp_path) == [("alias", f"it is a link to {tmp_path}/z, which is read already")]


def test_deep_folders_end_no_walk(tmp_path: Path) -> None:
    place = deep = tmp_path / "deep"
    place.mkdir()
    try:
        for _ in range(1100):  # more than Python calls functions inside each other
            place = place / "d"
            place.mkdir()
        (place / "x.pcap").touch()
        assert len(files(tmp_path)) == 1
    finally:
        subprocess.run(["rm", "-r", str(deep)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs mknod")
def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    os.mknod(tmp_path / "zero", 0o20600, os.makedev(1, 5))
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    assert {name: hindrance(str(tmp_path / name)) for name in files(tmp_path)} == {
        "file": None,
        "gone": "it is a link to nowhere, which is not there",
        "loop": "it cannot be looked at: Too many levels of symbolic links",
        "pipe": "it is a FIFO, which nobody may write to; name it to have it read",
        "socket": "it is a socket, not a capture",
        "zero": "it is a device, not a capture",
    }


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        walk(str(tmp_path / "none"))
