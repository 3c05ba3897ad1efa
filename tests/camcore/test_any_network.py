"""The contract of any network: its layers are found, their maps are of the picture's places."""

import pytest
import torch
import torchvision
from torch import nn

from camx.camcore import maps, plugins, stages, taps
from camx.evaluators.plan import METHODS

pytestmark = pytest.mark.slow
# Of torchvision, by the side of the picture.
TORCHVISION = {
    "alexnet": 128, "vgg11": 96, "vgg16_bn": 96, "resnet18": 128, "resnet50": 128,
    "resnext50_32x4d": 128, "densenet121": 128, "googlenet": 128, "inception_v3": 160,
    "squeezenet1_0": 128, "squeezenet1_1": 128, "mobilenet_v2": 128, "mobilenet_v3_small": 128,
    "mnasnet0_5": 128, "shufflenet_v2_x0_5": 128, "efficientnet_b0": 128, "regnet_y_400mf": 128,
    "convnext_tiny": 128, "swin_t": 128, "swin_v2_t": 128, "vit_b_16": 96, "maxvit_t": 224,
}  # fmt: skip
GIVEN = {
    "googlenet": {"init_weights": False}, "inception_v3": {"init_weights": False},
    "vit_b_16": {"image_size": 96},
}  # fmt: skip
SMALL_VIT = {"embed_dim": 48, "depth": 3, "num_heads": 3}
# Of timm, with what makes large ones small.
TIMM = {
    "resnet18": (128, {}),
    "resnetv2_50": (128, {"layers": (1, 1, 1, 1)}),
    "densenet121": (128, {}),
    "efficientnet_lite0": (128, {}),
    "efficientnet_b0": (128, {}),
    "mobilenetv3_small_050": (128, {}),
    "mobilenetv4_conv_small": (128, {}),
    "regnety_002": (128, {}),
    "convnext_atto": (128, {}),
    "convnextv2_atto": (128, {}),
    "inception_next_atto": (128, {}),
    "vit_tiny_patch16_224": (96, SMALL_VIT | {"img_size": 96}),
    "deit_tiny_distilled_patch16_224": (96, SMALL_VIT | {"img_size": 96}),
    "vit_small_patch14_reg4_dinov2": (112, SMALL_VIT | {"img_size": 112}),
    "vit_base_patch16_siglip_224": (96, SMALL_VIT | {"img_size": 96}),
    "eva02_tiny_patch14_224": (112, SMALL_VIT | {"img_size": 112}),
    "beit_base_patch16_224": (96, SMALL_VIT | {"img_size": 96}),
    "swin_tiny_patch4_window7_224": (112, {"img_size": 112}),
    "maxvit_tiny_tf_224": (224, {"depths": (1, 1, 1, 1)}),
    "hiera_tiny_224": (224, {}),
    "pvt_v2_b0": (128, {}),
    "mixer_s16_224": (96, {"img_size": 96}),
    "cait_xxs24_224": (96, {"img_size": 96, "depth": 3}),
    "poolformer_s12": (128, {}),
    "edgenext_xx_small": (128, {}),
    "nest_tiny": (224, {}),
}  # fmt: skip
NAMES = [*(f"torchvision:{name}" for name in TORCHVISION), *(f"timm:{name}" for name in TIMM)]


def built(name):
    """The network with five classes and weights drawn, and the side of its picture.

    Weights that are built as zeros, such as some heads', are drawn too.
    """
    torch.manual_seed(0)
    zoo, _, name = name.partition(":")
    if zoo == "torchvision":
        given = GIVEN.get(name, {})
        module = torchvision.models.get_model(name, weights=None, num_classes=5, **given)
        return drawn(module), TORCHVISION[name]
    side, given = TIMM[name]
    timm = pytest.importorskip("timm")
    return drawn(timm.create_model(name, num_classes=5, **given)), side


def drawn(module):
    for parameter in module.parameters():
        if parameter.ndim > 1 and not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return module.eval().requires_grad_(False)


def pictures(side):
    """Noise, and a bright square in it at the top right, and at the bottom left."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(1, 3, side, side, generator=generator).repeat(3, 1, 1, 1)
    near, far = slice(side // 8, 3 * side // 8), slice(5 * side // 8, 7 * side // 8)
    images[1, :, near, far] = 3
    images[2, :, far, near] = 3
    return images


def middle(weights):
    """Where the middle of ``(h,w)`` weights is, in shares of its sides."""
    weights = weights.double()
    rows, columns = (torch.linspace(0, 1, side, dtype=torch.double) for side in weights.shape)
    total = weights.sum()
    return float((weights.sum(1) @ rows) / total), float((weights.sum(0) @ columns) / total)


@pytest.mark.parametrize("name", NAMES)
def test_layers_maps_and_places(name):
    module, side = built(name)
    layers = list(stages.of(module, side).values())
    images, targets = pictures(side), torch.tensor([1, 2, 3])
    shown = taps.tap(module, images, targets, layers)
    of_some = ("cam", "acol")  # of networks that end in a certain way
    quick = [m for m in plugins.names(maps.METHODS) if m not in of_some and not maps.costly(m)]
    every = maps.methods(quick)
    reduction = 0.0
    for layer in layers[::-1]:
        tapped = shown[layer.name]
        h, w = tapped.acts.shape[2:]
        assert tapped.acts.shape == tapped.grads.shape
        assert h == w
        assert side / h > reduction, f"{layer} reduces no more than the one before"
        reduction = side / h
        changed = (tapped.acts - tapped.acts[:1]).abs().sum(1)
        (up, right), (down, left) = (middle(changed[at]) for at in (1, 2))
        assert up < down, f"{layer}: the square moved down"
        assert left < right, f"{layer}: the square moved to the left"
        assert tapped.grads.abs().max() > 0, f"{layer} has no gradient"
        for method in quick if layer == layers[0] else METHODS:
            made = every[method](tapped)
            assert made.shape == (3, h, w)
            assert made.isfinite().all(), f"{method} at {layer}"


def test_there_are_forty():
    assert len(TORCHVISION) >= 20
    assert len(TIMM) >= 20
