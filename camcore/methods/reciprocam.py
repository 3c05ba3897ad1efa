from torch import Tensor

from camx.camcore import places
from camx.camcore.taps import Tap

TITLE = "Recipro-CAM"
SOURCE = "Byun and Lee 2024 (arXiv 2209.14074); sybyun/ReciproCAM, whose default has no Gaussian"
COSTLY = True


def cam(tap: Tap) -> Tensor:
    """M_ij = softmax(f(A_ij alone, zero elsewhere))_c, f the network from the layer on. (N,h,w)."""
    return places.probabilities(tap)
