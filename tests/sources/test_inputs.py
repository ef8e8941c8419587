"""What paths and --point options mean."""

import gzip
import os
import subprocess
from pathlib import Path

import pytest

from sources.files import pcap, some
from tracer.core.errors import InputError
from tracer.sources.inputs import Input, find_inputs

CAPTURE = pcap(some(2))
TEXT = "10:00:00.000001 IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 1, seq 1, length 64\n"


def names(*given: Path, **points: str) -> list[str]:
    return [i.name for i in find_inputs(list(given), points)[0]]


def device(found: Input) -> str | None:
    return found.naming.point().device


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b-eth0.pcap").write_bytes(CAPTURE)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.bin").write_bytes(CAPTURE)
    (tmp_path / "notes.txt").write_text("nothing to see\n")
    (tmp_path / "README.md").write_text(TEXT)
    (tmp_path / "text.log").write_text(TEXT)
    (tmp_path / ".hidden.pcap").write_bytes(CAPTURE)
    os.mkfifo(tmp_path / "fifo.pcap")
    return tmp_path


def test_a_folder_gives_its_captures_by_content_and_by_suffix(folder: Path) -> None:
    for name in ("damaged.pcap.gz", "damaged.pcap1"):
        (folder / name).write_bytes(b"x")
    damaged = ["damaged.pcap.gz", "damaged.pcap1"]
    assert names(folder) == ["b-eth0.pcap", *damaged, "text.log", "sub/a.bin"]


def test_what_is_damaged_or_closed_in_a_folder_is_not_passed_over(folder: Path) -> None:
    cut = gzip.compress(CAPTURE)[:15]
    (folder / "cut.bin").write_bytes(cut)
    (folder / "plain.bin").write_bytes(b"nothing to see\n")
    assert "cut.bin" in names(folder)
    assert "plain.bin" not in names(folder)


def test_names_are_as_given_for_files_and_with_the_folder_for_several(folder: Path) -> None:
    file = folder / "b-eth0.pcap"
    assert names(file) == [str(file)]
    assert names(folder / "sub", file) == [str(folder / "sub/a.bin"), str(file)]


def told(*given: Path, **points: str) -> tuple[list[str], list[str]]:
    found, warnings = find_inputs(list(given), points)
    return [i.name for i in found], [f"{w.capture}: {w.message}" for w in warnings]


def test_what_is_named_twice_is_there_once_and_told(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "b-eth0.pcap"
    link = tmp_path / "sub" / "link.pcap"
    link.symlink_to(file)
    once = "it was read once only"
    same = f"it is the same as {file}; {once}"
    assert told(file, file) == ([str(file)], [f"{file}: it is named twice; {once}"])
    assert told(file, link) == ([str(file)], [f"{link}: {same}"])
    sub = tmp_path / "sub"
    assert told(file, sub) == ([str(file), str(sub / "a.bin")], [f"{link}: {same}"])
    assert told(sub, sub)[1] == [f"{sub}: it is named twice; {once}"]
    assert told(sub, sub)[0] == told(sub)[0]
    assert told(file, link, points=f"{file}")[1] == [f"{link}: {same}"]


def test_what_is_named_twice_keeps_its_point(folder: Path) -> None:
    file = folder / "sub" / "a.bin"
    once, _ = find_inputs([file], {})
    twice, _ = find_inputs([file, folder / "sub"], {})
    assert [i.naming for i in twice] == [i.naming for i in once]


def test_a_folder_of_nothing_but_what_is_named_already_is_not_refused(folder: Path) -> None:
    sub = folder / "sub"
    assert told(sub / "a.bin", sub)[0] == [str(sub / "a.bin")]


def test_a_folder_without_captures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to see\n")
    with pytest.raises(InputError, match=f"{tmp_path} holds no captures"):
        find_inputs([tmp_path], {})


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        find_inputs([tmp_path / "none"], {})


def test_points_toml_speaks_for_files_beside_and_below_it(folder: Path) -> None:
    (folder / "points.toml").write_text(
        '[[point]]\nfile = "b-eth0.pcap"\ndevice = "one"\n'
        '[[point]]\nfile = "sub/a.bin"\ndevice = "two"\n'
        '[[point]]\nfile = "notes.txt"\ndevice = "three"\n'
    )
    found, warnings = find_inputs([folder], {})
    assert {i.name: device(i) for i in found} == {
        "b-eth0.pcap": "one", "notes.txt": "three", "sub/a.bin": "two", "text.log": None,
    }  # fmt: skip
    assert [w.kind for w in warnings] == ["not-read"]  # the FIFO
    assert device(find_inputs([folder / "b-eth0.pcap"], {})[0][0]) == "one"


def test_a_file_that_points_toml_names_in_vain_is_told(folder: Path) -> None:
    (folder / "points.toml").write_text(
        '[[point]]\nfile = "gone.pcap"\n[[point]]\nfile = "sub"\n[[point]]\nfile = ".hidden.pcap"\n'
    )
    _, *told = [(w.kind, w.capture) for w in find_inputs([folder], {})[1]]
    unused = [("unused-point", ".hidden.pcap"), ("unused-point", "sub")]
    assert told == [unused[0], ("missing-capture", "gone.pcap"), unused[1]]


def test_point_options_override_and_add_their_file(folder: Path) -> None:
    (folder / "points.toml").write_text('[[point]]\nfile = "b-eth0.pcap"\ndevice = "one"\n')
    file = str(folder / "b-eth0.pcap")
    (found,) = find_inputs([], {"compute03/qr": file})[0]
    assert found.naming.point().host == "compute03"
    inside, _ = find_inputs([folder], {"qr": file})
    assert [device(i) for i in inside if i.path == file] == ["qr"]
    assert len(inside) == 3


def test_what_is_not_read_in_a_folder_is_told_and_the_rest_is_read(folder: Path) -> None:
    (folder / "gone.pcap").symlink_to("nowhere.pcap")
    (folder / "README.txt.md").symlink_to("nowhere.md")  # a document, which would be no capture
    read, told_ = told(folder)
    assert read == ["b-eth0.pcap", "text.log", "sub/a.bin"]
    assert told_ == [
        "fifo.pcap: it is a FIFO, which nobody may write to; name it to have it read",
        "gone.pcap: it is a link to nowhere.pcap, which is not there",
    ]


def test_a_folder_of_nothing_that_can_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "gone.pcap").symlink_to("nowhere.pcap")
    with pytest.raises(InputError, match=r"no captures: gone\.pcap: it is a link to nowhere\.pcap"):
        find_inputs([tmp_path], {})


def test_linked_folders_are_read_with_their_points(folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    (folder / "sub").rename(archive)
    incident = tmp_path / "incident"
    incident.mkdir()
    (incident / "linked").symlink_to(archive)
    (archive / "points.toml").write_text('[[point]]\nfile = "a.bin"\ndevice = "one"\n')
    found, warnings = find_inputs([incident], {})
    assert [(i.name, device(i)) for i in found] == [("linked/a.bin", "one")]
    assert warnings == []
    # Named by --point as well, it is still one input.
    found, warnings = find_inputs([incident], {"h/two": str(incident / "linked" / "a.bin")})
    assert [(i.name, device(i)) for i in found] == [("linked/a.bin", "two")]
    assert warnings == []


def test_points_toml_speaks_for_files_however_far_below_the_folder(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c" / "d"
    deep.mkdir(parents=True)
    (deep / "x.pcap").write_bytes(CAPTURE)
    (tmp_path / "points.toml").write_text('[[point]]\nfile = "a/b/c/d/x.pcap"\ndevice = "one"\n')
    found, warnings = find_inputs([tmp_path], {})
    assert ([device(i) for i in found], warnings) == (["one"], [])


def test_of_two_points_files_the_nearer_one_holds_and_it_is_told(folder: Path) -> None:
    (folder / "points.toml").write_text('[[point]]\nfile = "sub/a.bin"\ndevice = "far"\n')
    (folder / "sub" / "points.toml").write_text('[[point]]\nfile = "a.bin"\ndevice = "near"\n')
    found, warnings = find_inputs([folder], {})
    assert [device(i) for i in found if i.name == "sub/a.bin"] == ["near"]
    assert [(w.kind, w.capture) for w in warnings if w.kind != "not-read"] == [
        ("described-twice", "sub/a.bin")
    ]


def test_a_file_that_two_point_options_name_differently_is_refused(folder: Path) -> None:
    file = str(folder / "b-eth0.pcap")
    with pytest.raises(InputError, match="twice, and differently"):
        find_inputs([], {"h1/eth0": file, "h2/eth0": file})


@pytest.mark.parametrize("kind", ["fifo", "dangling"])
def test_a_points_file_that_is_none_is_refused(kind: str, folder: Path) -> None:
    points = folder / "points.toml"
    if kind == "fifo":
        os.mkfifo(points)
    else:
        points.symlink_to("nowhere.toml")
    with pytest.raises(InputError, match=r"points\.toml (is not a file|cannot be read)"):
        find_inputs([folder], {})


def test_a_hint_can_be_given_to_a_shell(tmp_path: Path) -> None:
    folder = tmp_path / "two words; it's"
    folder.mkdir()
    os.mkfifo(folder / "points.toml")
    with pytest.raises(InputError) as raised:
        find_inputs([folder], {})
    command = str(raised.value.hint).split("`")[1]
    shown = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("p")


def test_equal_stems_stay_two_points(tmp_path: Path) -> None:
    for host in ("one", "two"):
        (tmp_path / host).mkdir()
        (tmp_path / host / "x.pcap").write_bytes(CAPTURE)
    found, _ = find_inputs([tmp_path], {})
    assert len({i.naming.point() for i in found}) == 2


def test_standard_input_is_named_by_a_dash() -> None:
    (found,) = find_inputs(["-"], {})[0]
    assert (found.name, found.size) == ("-", None)
