"""Who may import whom: the folders are the architecture, and this keeps them so."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "tracer"
EDGES = ("sources", "correlate", "report", "lab")
ALLOWED = {"core": set(), **{edge: {"core"} for edge in EDGES}}  # cli and doctor are free
ALLOWED["api"] = {"core", *EDGES, "jit_cache", "process_memory", "__version__"}
PURE = {"core", "correlate"}
#: The steps of the correlator in order: each imports only from those before it.
STEPS = (
    "hashing", "packets", "order", "nat", "clocks", "conntrack", "joining",
    "renumbered", "hops", "flows", "outcomes",
)  # fmt: skip
IO = {"os", "subprocess", "socket", "pathlib", "time", "random", "click", "bcc", "pyroute2", "sys"}


def imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def violations(root: Path) -> Iterator[str]:
    for path in sorted(root.rglob("*.py")):
        part = path.relative_to(root).parts[0]
        for name in imported(path.read_text()):
            top, *rest = name.split(".")
            if (
                top == "tracer"
                and rest
                and part in ALLOWED
                and rest[0] not in ALLOWED[part] | {part}
            ):
                yield f"{path.relative_to(root)}: {part} must not import {name}"
            if part in PURE and top in IO:
                yield f"{path.relative_to(root)}: {part} does no I/O, yet imports {name}"
            if part != "cli" and top in {"click", "rich_click"}:
                yield f"{path.relative_to(root)}: only cli talks to the terminal"


def backwards(correlate: Path) -> Iterator[str]:
    for position, step in enumerate(STEPS):
        for path in sorted({correlate / f"{step}.py", *(correlate / step).rglob("*.py")}):
            for name in imported(path.read_text()) if path.exists() else ():
                part = name.removeprefix("tracer.correlate.").split(".")[0]
                if part != name.split(".")[0] and part not in STEPS[: position + 1]:
                    yield f"{path.relative_to(correlate)}: {step} must not import {name}"


def printing(root: Path) -> Iterator[str]:
    for path in sorted(root.rglob("*.py")):
        if path.relative_to(root).parts[0] == "cli":
            continue
        calls = (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call))
        for call in calls:
            if isinstance(call.func, ast.Name) and call.func.id in ("print", "exit", "quit"):
                yield f"{path.relative_to(root)}:{call.lineno}: only cli prints or exits"


def test_imports_follow_the_arrows() -> None:
    assert list(violations(ROOT)) == []


def test_steps_of_the_correlator_import_from_those_before() -> None:
    assert list(backwards(ROOT / "correlate")) == []


def test_a_step_that_imports_from_a_later_one_is_found(tmp_path: Path) -> None:
    for step in ("nat", "clocks"):
        (tmp_path / step).mkdir()
        (tmp_path / step / "a.py").write_text("from tracer.correlate.clocks.drift import top\n")
    assert list(backwards(tmp_path)) == [
        "nat/a.py: nat must not import tracer.correlate.clocks.drift.top"
    ]


def test_only_cli_prints() -> None:
    assert list(printing(ROOT)) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("core/a.py", "import os\n"),
        ("correlate/a.py", "from tracer.sources import pcap\n"),
        ("sources/a.py", "import tracer.report.text\n"),
        ("report/a.py", "import click\n"),
        ("api/a.py", "from tracer.cli import output\n"),
    ],
)
def test_a_broken_arrow_is_found(tmp_path: Path, path: str, source: str) -> None:
    bad = tmp_path / path
    bad.parent.mkdir(parents=True)
    bad.write_text(source)
    assert len(list(violations(tmp_path))) == 1
