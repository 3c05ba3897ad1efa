"""A segmentation network's answer to one image, at one or several scales."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from camx.camcore.faults import Fault, NotFinite

STRIDE = 8


def predict(
    module: nn.Module,
    image: Tensor,
    prepare: Callable[[Tensor], Tensor],
    scales: Sequence[float] = (1.0,),
    long_side: int = 0,
    pad_to: int = 0,
    flip: bool = False,
) -> Tensor:
    """Class probabilities ``(K,H,W)`` of an image ``(3,H,W) uint8``, the mean over `scales`.

    Scale 1 is the image as it is, or resized so that its longer side has `long_side` pixels. What
    is shown is filled at its right and bottom with the mean, up to `pad_to` pixels a side and to a
    multiple of 8 and one. With `flip` the mirror image counts as much. Bicubic as in OAA's eval.py,
    whose windows of 401 pixels are not copied: a larger image is shown whole. Raises `NotFinite`
    when logits hold NaN or Inf, whatever classes they are of.
    """
    height, width = image.shape[1:]
    base = long_side / max(height, width) if long_side else 1.0
    answers, finite = [], []
    with torch.inference_mode():
        for scale in scales:
            size = tuple(max(1, round(side * base * scale)) for side in (height, width))
            shown = _resized(prepare(image[None]), size)
            for mirrored in (False, True) if flip else (False,):
                answer, sound = _answer(module, shown.flip(-1) if mirrored else shown, pad_to)
                answer = answer.flip(-1) if mirrored else answer
                answers.append(_resized(answer, (height, width))[0])
                finite.append(sound)
        total = torch.stack(answers).mean(0).clamp(min=0)  # a cubic undershoots at edges
        total = total / total.sum(0)
        if not bool(torch.stack([*finite, total.isfinite().all()]).all()):  # asked once, at the end
            raise NotFinite([Fault(0, "NaN or Inf")])
        return total


def _resized(images: Tensor, size: tuple[int, ...]) -> Tensor:
    return images if images.shape[-2:] == size else interpolate(images, size, mode="bicubic")


def _answer(module: nn.Module, shown: Tensor, pad_to: int) -> tuple[Tensor, Tensor]:
    """Probabilities ``(1,K,h,w)`` of pixels ``(1,3,h,w)``, and whether their logits are finite."""
    height, width = shown.shape[-2:]
    full = [-(-(max(side, pad_to) - 1) // STRIDE) * STRIDE + 1 for side in (height, width)]
    logits = module(pad(shown, (0, full[1] - width, 0, full[0] - height))).float()
    answer = interpolate(logits, full, mode="bilinear", align_corners=True).softmax(1)
    return answer[..., :height, :width], logits.isfinite().all()
