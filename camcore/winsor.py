"""Winsor-CAM: layers' maps are added by how much the layers matter, the largest clipped.

Wall et al. 2026, arXiv 2507.10846. A layer's importance is the mean over its channels of Grad-CAM's
weights, whatever method the maps are of: the authors' example (USD-AI-ResearchLab/Winsor-CAM). It
comes of the gradients, not of the maps, so it travels beside them as a map of one pixel.
"""

import torch
from torch import Tensor

from camx.camcore.maps import Method
from camx.camcore.taps import Tap

IMPORTANCE = "importance of the layer"  # in a method's place; no method can be named so
PERCENTILE = 90  # of a picture's positive importances, above which one is clipped to it
LOWEST = 0.1  # the weight of the least important of them; the most important has 1


def importance(tap: Tap) -> Tensor:
    """mean_k w_k of Grad-CAM's weights w_k = mean_ij g_kij, as ``(N,1,1)``."""
    return tap.grads.mean((2, 3)).mean(1)[:, None, None]


SOURCE = {IMPORTANCE: Method(IMPORTANCE, importance)}


def weights(importances: Tensor) -> Tensor:
    """Weights ``(L,N)`` of the layers' importances ``(L,N)``, for each of N pictures.

    Those that are not positive weigh nothing. The others are clipped at their percentile and
    stretched from `LOWEST` to 1; where all are one, they weigh 1.
    """
    values = importances.double()
    positive = values > 0
    ceiling = values.where(positive, torch.nan).nanquantile(PERCENTILE / 100, 0)
    values = values.minimum(ceiling)
    low = values.where(positive, torch.inf).amin(0)
    spread = values.where(positive, -torch.inf).amax(0) - low
    stretched = LOWEST + (1 - LOWEST) * (values - low) / spread
    stretched = stretched.where(spread > 0, torch.ones_like(stretched))
    return stretched.where(positive, 0.0).to(importances.dtype)
