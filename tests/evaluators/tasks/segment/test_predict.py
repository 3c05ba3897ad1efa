"""Masks of a segmentation network: none of logits that are no numbers."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from camx.camcore.networks import Network
from camx.camcore.spec import Preprocessing
from camx.evaluators.tasks.segment import predict
from camx.evaluators.tasks.segment.recipe import Shown
from camx.evaluators.types import Scene


class Spoilt(nn.Conv2d):
    """Three classes; bright images' logits of one class hold a value that is no number."""

    def __init__(self, value):
        super().__init__(3, 3, 1)
        self.spoilt = value

    def forward(self, images):
        logits = super().forward(images).clone()
        logits[images.amax((1, 2, 3)) > 0.9, 1, 0, 0] = self.spoilt
        return logits


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_an_image_whose_logits_are_no_numbers_has_no_mask(tmp_path, value):
    """It had the mask 0 everywhere, the background."""
    form = Preprocessing("none", (0.0,) * 3, (1.0,) * 3)
    network = Network("spoilt", Spoilt(value), {}, 33, form, 3, "none", "")
    scenes = []
    for name, grey in (("dark", 100), ("bright", 250)):
        Image.fromarray(np.full((17, 33, 3), grey, np.uint8)).save(tmp_path / f"{name}.png")
        scenes.append(Scene(name, tmp_path / f"{name}.png"))
    shown = Shown(scales=(0.5, 1.0), flip=True)
    told = rf"image bright \({tmp_path}/bright\.png\): the logits of spoilt hold NaN or Inf"
    with pytest.raises(ValueError, match=told), torch.no_grad():
        predict.write_masks(network, shown, scenes, [tmp_path / "masks"], None, lambda: None)
    assert [path.name for path in (tmp_path / "masks").iterdir()] == ["dark.png"]
