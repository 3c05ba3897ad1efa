"""A classifier that learned nothing is said before the table of its maps."""

from importlib import resources

import pytest
import torch
from safetensors.torch import load_file, save_file


@pytest.mark.parametrize(
    ("model", "command", "said"),
    [
        ("mini-vgg", ("localize", "--protocol", "single"), "of the images, and a guess among 10"),
        ("mini-defects", ("defects", "--iterations", 0), "of the defective images (AUC 0.50)"),
    ],
)
def test_a_network_that_learned_nothing(camx, tmp_path, model, command, said):
    """Constant weights: every image has the same score."""
    folder = resources.files("camx.configs") / "weights"
    shipped = load_file(str(folder / f"{model}.safetensors"))
    save_file({k: torch.zeros_like(v) for k, v in shipped.items()}, tmp_path / "w.safetensors")
    layer = "layer3" if command[0] == "defects" else "S5"
    quick = (*command, "--method", "layercam", "--layer", layer, "--limit", 40)
    done = camx(*quick, "--weights", "w.safetensors")
    assert said in done.stderr
    assert "that learned nothing" in done.stderr
    assert "warning" not in camx(*quick, "--out", "shipped").stderr
