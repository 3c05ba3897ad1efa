from torch import Tensor

from camx.camcore.taps import Tap

TITLE = "Chefer et al."
SOURCE = "Chefer et al. 2021, Generic Attention-model Explainability, eq. 5-6"
COSTLY = True
EXACT = True
WHOLE = True  # a map of the whole network


def cam(tap: Tap) -> Tensor:
    """R <- I; R <- R + mean_heads(ReLU(g A)) R, block by block; R's class row. Shape (N,h,w).

    Read as `rollout`'s is: without a class token the pooling's row or the mean of the patches'.
    """
    return tap.attention.flow(lambda block: (block.grads * block.weights).relu().mean(1))
