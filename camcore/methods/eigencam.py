from torch import Tensor

from camx.camcore.components import first
from camx.camcore.taps import Tap

TITLE = "Eigen-CAM"
SOURCE = "Muhammad and Yeasin 2020, arXiv 2008.00299; sign: Seg-Eigen-CAM 2025, eq. 13"


def cam(tap: Tap) -> Tensor:
    """M = ReLU(A v), v the first right singular vector of A (hw,C). No class. Shape (N,h,w)."""
    return first(tap.acts).relu()
