"""What mkdocs builds besides the Markdown files: a page from the notebook, as it was last run."""

from pathlib import Path
from typing import Any

import nbformat
from mkdocs.structure.files import File, Files

NOTEBOOK = "tutorial.ipynb"


def on_files(files: Files, config: Any) -> Files:
    """Add the notebook as a page; the notebook itself is there to be downloaded."""
    text = page(Path(config.docs_dir, NOTEBOOK))
    files.append(File.generated(config, NOTEBOOK.replace(".ipynb", ".md"), content=text))
    return files


def page(notebook: Path) -> str:
    """Return a notebook as Markdown, its cells' text below them."""
    parts = []
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        text = "".join(shown(output) for output in cell.outputs).strip("\n")
        if text:
            parts.append(f"```text\n{text}\n```")
    parts.append(
        f"[This notebook]({notebook.name}) runs on the captures that come with the project."
    )
    return "\n\n".join(parts) + "\n"


def shown(output: Any) -> str:
    text = output.text if output.output_type == "stream" else output.data["text/plain"]
    return str(text) + "\n"
