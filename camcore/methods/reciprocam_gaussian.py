from torch import Tensor

from camx.camcore import places
from camx.camcore.taps import Tap

TITLE = "Recipro-CAM, Gaussian"
SOURCE = "Byun and Lee 2024 (arXiv 2209.14074); sybyun/ReciproCAM, is_gaussian"
COSTLY = True


def cam(tap: Tap) -> Tensor:
    """As `reciprocam`, A_ij spread around its place by a 3x3 Gaussian of sum 1. Shape (N,h,w)."""
    return places.probabilities(tap, places.GAUSSIAN)
