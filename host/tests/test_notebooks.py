"""The notebooks run from top to bottom on the virtual board that "auto" is on a PC."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from egret.installation import CHECKOUT
from egret.profiles import BOARDS

pytest.importorskip("pynq", reason="the virtual board is a pynq device")

HOST = CHECKOUT / "host"
NOTEBOOKS = sorted((HOST / "notebooks").glob("*.ipynb"))
pytestmark = pytest.mark.xdist_group("notebooks")  # one after the other: each has a process of its own

SAYS = {
    "1_stream_tokens": f"tokens a second at {BOARDS['pynq-z2'].clock_mhz} MHz",
    "2_cycles_against_macs": "MACs, in theory",
    "3_your_own_model": "All 29 steps are equal",
}
"""What each must have printed at its end."""


def test_every_notebook_is_known() -> None:
    assert [path.stem for path in NOTEBOOKS] == list(SAYS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_draws(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    # Outputs would change with every run: they are not committed.
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert 'BOARD = "auto"' in code[0].source

    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    for name in ("BOARD", "MPLBACKEND"):  # a PYNQ image sets the one; the other would keep pictures away
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(HOST))  # this checkout, whatever else is installed
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    # Raises CellExecutionError, with the traceback, where a cell fails.
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    ).execute()

    outputs = [output for cell in code for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    said = "".join(output.text for output in outputs if output.get("name") == "stdout")
    assert SAYS[path.stem] in said
