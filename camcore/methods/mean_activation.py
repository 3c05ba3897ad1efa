from torch import Tensor

from camx.camcore.taps import Tap

TITLE = "mean activation (LaFAM)"
SOURCE = "Karjauv and Albayrak 2024, arXiv 2407.06059"


def cam(tap: Tap) -> Tensor:
    """M = ReLU(mean_k A_k), of no class: what a map must beat. Shape (N,h,w)."""
    return tap.acts.mean(1).relu()
