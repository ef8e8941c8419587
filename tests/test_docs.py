"""What the documents say is what the code does."""

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import tracer
from tracer.cli.commands import COMMANDS, group

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
SESSION = re.compile(r"```pycon\n(.*?)```", re.DOTALL)
FETCHED = re.compile(rb"""(?:src=|<link[^>]*href=|url\()["']?(?:https?:)?//""")


def script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "TRACER_VENV": str(Path(sys.executable).parent.parent)}
    words = [sys.executable, str(ROOT / "scripts" / name), *arguments]
    return subprocess.run(words, text=True, capture_output=True, check=False, env=env)


@pytest.mark.parametrize("part", ["tables", "outputs"])
def test_tables_and_output_are_current(part: str) -> None:
    done = script("docs", "--check", part)
    assert done.returncode == 0, f"run scripts/docs\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", [page for page in PAGES if "```pycon" in page.read_text()])
def test_python_sessions_give_what_is_shown(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = "\n".join(SESSION.findall(page.read_text()))
    session = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    report: list[str] = []
    result = doctest.DocTestRunner().run(session, out=report.append)
    assert result.attempted > 0
    assert result.failed == 0, "".join(report)


def commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    yield "tracer", group
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        yield f"tracer {name}", command
        if isinstance(command, click.Group):
            for other, below in command.commands.items():
                yield f"tracer {name} {other}", below


def test_every_command_is_documented_with_its_help() -> None:
    text = (DOCS / "commands.md").read_text()
    shown = set(re.findall(r"<!-- run: (.*) --help -->", text))
    assert shown == {name for name, _ in commands()}


@pytest.mark.parametrize(
    ("name", "command"), [pytest.param(*each, id=each[0]) for each in commands()]
)
def test_help_is_complete(name: str, command: click.Command) -> None:
    assert command.help, name
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts[0]}"
            assert parameter.help.endswith("."), f"{name} {parameter.opts[0]}: {parameter.help}"


def test_every_exported_name_is_in_the_reference() -> None:
    listed = re.findall(r"^::: tracer\.(\w+)$", (DOCS / "reference.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(tracer.__all__)


def test_everything_exported_has_a_docstring() -> None:
    for name in tracer.__all__:
        value = getattr(tracer, name)
        assert value.__doc__, name
        for member, found in vars(value).items() if isinstance(value, type) else ():
            if not member.startswith("_") and (callable(found) or hasattr(found, "func")):
                assert found.__doc__, f"{name}.{member}"


def test_the_site_builds_with_every_link_valid_and_fetches_nothing(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    built = sorted(tmp_path.rglob("*.html"))
    assert len(built) > len(PAGES)
    for page in [*built, *tmp_path.rglob("*.css")]:
        assert not FETCHED.search(page.read_bytes()), page
