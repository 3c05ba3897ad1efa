from torch import Tensor

from camx.camcore.components import first
from camx.camcore.taps import Tap

TITLE = "Eigen-Grad-CAM"
SOURCE = "pytorch-grad-cam, eigen_grad_cam.py: Eigen-CAM (arXiv 2008.00299) of g A"


def cam(tap: Tap) -> Tensor:
    """M = ReLU(P v), v the first right singular vector of P = g A (hw,C). Shape (N,h,w)."""
    return first(tap.grads * tap.acts).relu()
