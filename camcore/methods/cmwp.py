TITLE = "c-MWP"
SOURCE = "Zhang et al. 2016, contrastive excitation backpropagation; TorchRay excitation_backprop.py"
COSTLY = True
LAYERS = ("S4",)  # read at the pool that follows it, pool4 of VGG16


def cam(tap):
    """M = ReLU(sum_k p_kij), p the contrastive excitation: chains of conv, ReLU, pool, linear only. (N,h,w)."""
    return tap.excite().sum(1).relu()
