"""Every notebook runs from top to bottom, as a data scientist would first run it, and shows what it tells of."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = {
    "audit_a_model": "model-card.html",
    "bring_your_own_force": "4 rows in quarantine",
    "explore_a_force": "夜班",
    "retrain_and_compare": "search: 2 recipes tried",
}
"""What a reader must come across in each."""


def test_these_notebooks_are_there_and_no_others() -> None:
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(NOTEBOOKS)


@pytest.mark.parametrize(("name", "words"), NOTEBOOKS.items(), ids=NOTEBOOKS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning:zmq", "ignore::DeprecationWarning:jupyter_client")
def test_a_notebook_runs_from_top_to_bottom(name: str, words: str, tmp_path: Path) -> None:
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "save notebooks without outputs"
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    assert notebook.cells[-1].outputs
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("text/html" in each.get("data", {}) for each in shown) >= 2, "tables"
    assert any("<svg" in str(each.get("data", {})) for each in shown), "a picture"
    assert words in "".join(str(each.get("text", "")) for each in shown)
    assert list(tmp_path.iterdir()) == [], "it writes into its own temporary home"
