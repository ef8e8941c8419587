"""What is installed with the package is what it imports."""

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = {"vl-convert-python": "vl_convert"}  # where the module has another name than the package


def imported(folder: Path) -> set[str]:
    names = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.split(".")[0])
    return names


def test_nothing_is_depended_on_that_nobody_imports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    named = [each.partition(">")[0] for each in project["dependencies"]]
    named += [each.partition(">")[0] for group in ("lab", "report") for each in extras[group]]
    wanted = {MODULES.get(name, name) for name in named}
    assert wanted <= imported(ROOT / "tracer")
