"""Imports go one way: cli -> evaluators -> camcore; only cli knows Click; scoring files import no torch."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [p for d in ("cli", "camcore", "evaluators", "configs") for p in (ROOT / d).rglob("*.py")]
FORBIDDEN = {
    "camcore": {"cli", "evaluators", "click", "scripts"},
    "evaluators": {"cli", "click", "scripts"},
    "configs": {"cli", "evaluators", "camcore"},
    "cli": {"scripts"},
}
NO_TORCH = [
    "types.py", "boxes.py", "heatmaps.py", "localize.py", "occlude.py", "defects.py", "masks.py", "splits.py", "measures.py",
    "compare.py", "claims.py", "records.py", "stats.py", "tables.py", "protocols.py", "figures.py", "indices.py",
    "confusion.py", "superpixels.py", "pseudo.py", "segment.py", "crf.py",
]  # fmt: skip


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_one_way(path):
    assert not set(imported(path)) & FORBIDDEN[path.relative_to(ROOT).parts[0]]


@pytest.mark.parametrize("name", NO_TORCH)
def test_scoring_imports_no_torch(name):
    assert "torch" not in set(imported(ROOT / "evaluators" / name))


def test_every_import_is_declared():
    """What the packages import is in install_requires, by the name it is installed under."""
    installed = {"cv2": "opencv-python", "PIL": "pillow", "yaml": "pyyaml", "skimage": "scikit-image"}
    declared, extras = (ROOT / "setup.cfg").read_text().split("[options.extras_require]")
    assert "crf =\n    pydensecrf2>=" in extras  # imported only where it is asked for
    for path in FILES:
        for name in set(imported(path)) - {"cli", "camcore", "evaluators", "configs"} - sys.stdlib_module_names - {"pydensecrf"}:
            assert f"    {installed.get(name, name)}>=" in declared, f"{path} imports {name}"
