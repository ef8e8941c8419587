"""Which dumps a points.toml names, and what is said where it does not do so rightly."""

from pathlib import Path

import pytest

from tracer.core.errors import InputError
from tracer.sources.named_dumps import dumps_named


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
