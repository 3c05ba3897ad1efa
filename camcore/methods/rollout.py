from torch import Tensor

from camx.camcore.taps import Tap

TITLE = "Attention rollout"
SOURCE = "Abnar and Zuidema 2020, eq. 1; says nothing of the class"
COSTLY = True
EXACT = True
WHOLE = True  # a map of the whole network


def cam(tap: Tap) -> Tensor:
    """R = A_L ... A_1, A_l = mean_heads A_l + I, its rows normalised; R's class row. (N,h,w).

    Of several prefix tokens the class token is the first. Without one: the row of the attention
    pooling, mean_heads A R, or the mean of the patches' rows.
    """
    return tap.attention.flow(lambda block: block.weights.mean(1), normalised=True)
