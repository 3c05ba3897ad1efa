"""Maps of transformers against pytorch-grad-cam's, whose `reshape_transform` is a layout here."""

import numpy as np
import pytest
import torch
import torchvision

from camx.camcore import maps, plugins
from camx.camcore.layers import Layer, Layout

grad_cam = pytest.importorskip("pytorch_grad_cam", reason="extra `bench` is not installed")
STYLE = "pytorch-grad-cam"
THEIRS = {
    "gradcam": "GradCAM",
    "gradcampp": "GradCAMPlusPlus",
    "layercam": "LayerCAM",
    "hirescam": "HiResCAM",
}
LAYERS = {
    "vit_b_16": Layer(
        "x", "encoder.layers.encoder_layer_11.ln_1", layout=Layout("nlc", 1, (16, 16))
    ),
    "swin_t": Layer("x", "norm", layout=Layout("nhwc")),
}


def reshape_tokens(tensor):
    return tensor[:, 1:].reshape(len(tensor), 14, 14, -1).permute(0, 3, 1, 2)


def reshape_last(tensor):
    return tensor.permute(0, 3, 1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_equal_pytorch_grad_cam_s(name):
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    torch.manual_seed(0)
    net = getattr(torchvision.models, name)(weights=None).eval()
    head = net.heads.head if name == "vit_b_16" else net.head
    torch.nn.init.normal_(head.weight, std=0.05)  # one is zero at first
    image, layer = torch.randn(1, 3, 224, 224), LAYERS[name]
    methods = [m for m in THEIRS if m in plugins.names(maps.METHODS)]
    raw, _ = maps.compute(net, image, torch.tensor([7]), [layer], maps.methods(methods, STYLE))
    combine = maps.combination(STYLE)
    net.requires_grad_(False).get_submodule(layer.activation).requires_grad_(True)  # no deeper
    for method in methods:
        theirs = getattr(grad_cam, THEIRS[method])
        modules = [net.get_submodule(layer.activation)]
        reshape = reshape_tokens if name == "vit_b_16" else reshape_last
        with theirs(net, modules, reshape_transform=reshape) as cam:
            expected = cam(image, [ClassifierOutputTarget(7)])
        actual = combine(method, [raw[method, "x"]], 224)
        assert expected.std() > 0.01, method
        assert np.abs(actual.numpy() - expected).max() < 1e-4, method
