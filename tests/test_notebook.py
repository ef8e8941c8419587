"""The tutorial runs, and gives what is kept in it."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"


def test_the_cells_give_what_the_notebook_shows() -> None:
    words = [sys.executable, str(ROOT / "scripts" / "docs"), "--check", "notebook"]
    done = subprocess.run(words, text=True, capture_output=True, check=False)
    assert done.returncode == 0, f"run scripts/docs notebook\n{done.stdout}{done.stderr}"


def test_it_answers_six_questions_and_keeps_every_answer() -> None:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    headings = re.findall(r"^## (\d)\. ", "\n".join(cell.source for cell in cells), re.MULTILINE)
    assert headings == list("123456")
    assert all(cell.outputs for cell in cells if cell.cell_type == "code")
    kinds = {output.output_type for cell in cells for output in cell.get("outputs", ())}
    assert kinds <= {"stream", "execute_result"}


def test_no_path_of_a_machine_is_kept() -> None:
    text = NOTEBOOK.read_text()
    assert str(ROOT) not in text
    assert "/home/" not in text
