"""Which dumps a points.toml names, and what is said where it does not do so rightly."""

import os
from pathlib import Path

import pytest

from tracer.core.errors import InputError
from tracer.sources.conntrack import read_conntrack_folder
from tracer.sources.named_dumps import dumps_in, dumps_named
from tracer.sources.rules import read_rules_folder

GOOD = {
    "conntrack": "icmp 1 29 src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=7 "
    "src=10.0.0.2 dst=10.0.0.1 type=0 code=0 id=7 mark=0 use=1\n",
    "rules": "*nat\n-A POSTROUTING -j MASQUERADE\n",
}


def test_no_points_file_and_none_of_that_kind_name_nothing(tmp_path: Path) -> None:
    assert dumps_named(tmp_path / "points.toml", "rules") == []
    (tmp_path / "points.toml").write_text('[[conntrack]]\nfile = "a"\n')
    assert dumps_named(tmp_path / "points.toml", "rules") == []
    assert dumps_named(tmp_path / "points.toml", "conntrack") == [(tmp_path / "a", None, None)]


@pytest.mark.parametrize(
    "text",
    [
        "conntrack = 3",
        "conntrack = [3]",
        '[conntrack]\nfile = "a"',
        '[[conntrack]]\nhost = "compute03"',
        "[[conntrack]]\nfile = 3",
        '[[conntrack]]\nfile = "a"\nhost = 3',
        '[[conntrack]]\nfile = "a"\nhsot = "compute03"',
    ],
)
def test_a_table_that_names_no_dump_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "points.toml").write_text(text)
    with pytest.raises(
        InputError, match=r"points\.toml: a \[\[conntrack\]\] table has `file`, may"
    ):
        dumps_named(tmp_path / "points.toml", "conntrack")


def test_dumps_of_subfolders_are_found_as_those_of_the_folder(tmp_path: Path) -> None:
    def found() -> list[tuple[str, str | None]]:
        dumps = dumps_in(tmp_path, "conntrack", lambda path: path.suffix == ".txt")
        return [(str(file.relative_to(tmp_path)), host) for file, host, _ in dumps]

    for name in ("a.txt", "node1/b.txt", "node1/old/c.txt", "node2/d.txt", ".hidden/e.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    every = [("a.txt", None), ("node1/b.txt", None), ("node1/old/c.txt", None)]
    assert found() == [*every, ("node2/d.txt", None)]
    (tmp_path / "node1/points.toml").write_text('[[conntrack]]\nfile = "b.txt"\nhost = "one"\n')
    assert found() == [("a.txt", None), ("node1/b.txt", "one"), ("node2/d.txt", None)]
    # What names some in a folder speaks for all below; what names one again adds nothing.
    (tmp_path / "points.toml").write_text('[[conntrack]]\nfile = "node1/b.txt"\nhost = "n1"\n')
    assert found() == [("node1/b.txt", "n1")]


@pytest.mark.parametrize("kind", ["conntrack", "rules"])
def test_a_fifo_that_points_toml_names_is_told_and_not_waited_for(
    kind: str, tmp_path: Path
) -> None:
    given = {"conntrack": read_conntrack_folder, "rules": read_rules_folder}[kind]
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "good.txt").write_text(GOOD[kind])
    text = "".join(f'[[{kind}]]\nfile = "{name}"\n' for name in ("pipe", "good.txt"))
    (tmp_path / "points.toml").write_text(text)
    found, (warning,) = given(tmp_path)
    assert len(found) == 1
    assert (warning.kind, warning.capture) == ("not-read", "pipe")
    assert warning.message == (
        f"it is a FIFO, which nobody may write to; give it with --{kind} to have it read"
    )
