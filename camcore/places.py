"""Places: what the network says of a layer's activations at one place alone (Recipro-CAM)."""

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from camx.camcore.resumption import CHUNK, by_image
from camx.camcore.taps import Tap

ALONE = ((1.0,),)
GAUSSIAN = ((1 / 16, 1 / 8, 1 / 16), (1 / 8, 1 / 4, 1 / 8), (1 / 16, 1 / 8, 1 / 16))


def probabilities(tap: Tap, kernel: tuple[tuple[float, ...], ...] = ALONE) -> Tensor:
    """``softmax(f(A at a place alone))_c`` of each row and place, ``(N,h,w)``.

    All channels are zero elsewhere. A `kernel` of odd sides spreads what is at the place around it;
    what would lie outside is cut off.
    """
    height, width = tap.acts.shape[2:]
    maps = torch.zeros_like(tap.acts[:, 0]).flatten(1)
    spread = tap.acts.new_tensor(kernel)[None, None]
    for rows, acts, run in by_image(tap):
        for places in torch.arange(height * width, device=acts.device).split(CHUNK):
            ones = torch.zeros_like(places)[:, None].expand(-1, height * width)
            ones = ones.scatter(1, places[:, None], 1).to(acts).view(-1, 1, height, width)
            masks = conv2d(ones, spread, padding=len(kernel) // 2)
            logits = run(acts.flatten(1).T[places][:, :, None, None] * masks)
            maps[rows[:, None], places] = logits.softmax(1)[:, tap.targets[rows]].T
    return maps.view(-1, height, width)
