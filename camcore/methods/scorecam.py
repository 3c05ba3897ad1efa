from camcore.masking import combine

TITLE = "Score-CAM"
SOURCE = "Wang et al. 2020; haofanwang/Score-CAM: softmax probability of the masked input, flat channels skipped"
COSTLY = True


def cam(tap):
    """M = ReLU(sum_k w_k A_k), w_k = softmax(f(x * mask_k))_c, mask_k the upsampled channel in [0, 1]. (N,h,w)."""
    return combine(tap, lambda logits: logits.softmax(1))
