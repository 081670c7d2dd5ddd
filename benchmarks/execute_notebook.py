"""Execute docs/quickstart.ipynb in an empty folder and write its outputs: ``make notebook``.

Takes about a minute. Outputs on standard error (progress and warnings of libraries) are not
written. The metadata contain a digest of the code, with which a test checks that the outputs belong
to the current code.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "docs" / "quickstart.ipynb"
TIMEOUT = 900
"""Maximum time of a cell in seconds."""


def main() -> None:
    """Execute the notebook and replace its outputs."""
    with tempfile.TemporaryDirectory() as folder:
        notebook = execute(Path(folder))
    notebook.metadata["emosphere"] = {"code": code_digest(notebook)}
    nbformat.write(notebook, NOTEBOOK)


def execute(folder: Path) -> nbformat.NotebookNode:
    """Return the executed notebook.

    Arguments
    ---------
    folder : Path
        Folder in which the notebook runs.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell raises an exception.
    """
    # Commands in cells use the programs and packages of this environment, and no network.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(
        notebook, timeout=TIMEOUT, kernel_name="python3", record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )  # fmt: skip
    client.execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
    return notebook


def code_digest(notebook: nbformat.NotebookNode) -> str:
    """Return the SHA-256 of all code cells."""
    code = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(code.encode("utf-8")).hexdigest()


if __name__ == "__main__":
    main()
