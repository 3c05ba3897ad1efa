"""What is said of a layer, and that it is said once."""

import warnings
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from camx.camcore import doubts, maps, plugins
from camx.camcore.layers import Layer, Layout
from camx.camcore.taps import tap

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.manual_seed(0))
TARGETS = torch.tensor([0, 1])


class Net(nn.Module):
    """A convolution's output, its GELU, and what is classified of it."""

    def __init__(self, last=None):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.gelu, self.relu = nn.Conv2d(3, 6, 3), nn.GELU(), nn.ReLU()
        self.last, self.head = last or nn.Identity(), nn.Linear(6, 4)

    def forward(self, images):
        return self.head(self.last(self.relu(self.gelu(self.conv(images)))).mean((2, 3)))


GELU, RELU = Layer("gelu", "gelu"), Layer("relu", "relu")


def said(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [(w.category.__name__, str(w.message)) for w in caught]


def computed(net, layers, *methods, **named):
    return said(lambda: maps.compute(net, IMAGES, TARGETS, layers, maps.methods(methods), **named))


def test_negative_activations_are_said_once_of_each_method_that_assumes_none():
    net = Net()
    shown = tap(net, IMAGES, TARGETS, [GELU])["gelu"]
    share = f"{100 * (shown.acts < 0).float().mean():.2g} % of the activations are negative"
    assert computed(net, [GELU, RELU], "layercam", "gradcam", "normgrad") == [
        ("NegativeActivations", f"layercam at layer gelu: {share}")
    ]
    assert computed(net, [GELU, RELU], "layercam", "xgradcam") == [
        ("NegativeActivations", f"xgradcam at layer gelu: {share}")
    ]
    assert computed(net, [GELU, RELU], "layercam", "xgradcam") == []
    assert len(computed(Net(), [GELU], "layercam")) == 1  # of another network again
    pairs = {("layercam", "relu"), ("gradcam", "gelu")}
    assert computed(Net(), [GELU, RELU], "layercam", "gradcam", pairs=pairs) == []


def test_another_package_s_version_assumes_the_same():
    cams = maps.methods(["gradcampp", "eigencam"], "pytorch-grad-cam")
    assert [cams[name].non_negative for name in ("gradcampp", "eigencam")] == [True, False]
    assert maps.methods(["layercam"])["layercam"].non_negative


class Detached(nn.Module):
    def forward(self, features):
        return features * 0


@pytest.mark.parametrize(
    ("target", "layout", "word"),
    [
        ("logit", Layout(), "the logits do not depend on it"),
        ("softmax", Layout(), "target logit has"),
        ("logit", Layout("nlc", 1, (2, 2)), "after the last block"),
    ],
)
def test_a_layer_without_a_gradient_is_said_once(target, layout, word):
    net, layer = Net(Detached()), Layer("relu", "relu")
    shown = tap(net, IMAGES, TARGETS, [layer], target=target)["relu"]
    shown = SimpleNamespace(**{**vars(shown), "layer": Layer("relu", "relu", None, layout)})
    ((category, message),) = said(lambda: doubts.examine(shown, []))
    assert category == "NoGradient"
    assert message.startswith("layer relu: the gradient is zero everywhere")
    assert word in message
    assert said(lambda: doubts.examine(shown, [])) == []


def test_a_layer_with_some_gradient_or_no_row_is_not():
    net = Net()
    shown = tap(net, IMAGES, TARGETS, [RELU])["relu"]
    assert said(lambda: doubts.examine(shown[:0], ["layercam"])) == []
    shown.grads.zero_()[0, 0, 0, 0] = 1e-30
    assert said(lambda: doubts.examine(shown, ["layercam"])) == []


def pointed(total, gradient):
    """One channel of two places whose activations sum to `total`."""
    acts = torch.tensor([[[[total - 3.0, 3.0]]]])
    grads = torch.tensor([[[[gradient, 0.25]]]])
    return SimpleNamespace(acts=acts, grads=grads, network=nn.Identity(), layer=RELU)


@pytest.mark.parametrize(
    ("total", "gradient", "weight", "share"),
    [
        (-4.0, 1.0, -0.5 + 0.25, 50),  # 2 - 4 is negative, and stays in the equation
        (-4.0, 0.5, 0.25, 50),  # 2 - 2 is nothing, and weighs nothing
        (-4.0, 0.25, 0.5, None),
        (-1.5, 1.0, 2 + 0.25 / 1.625, None),
        (4.0, 1.0, 1 / 6 + 0.25 / 3, None),
    ],
)
def test_denominators_of_gradcampp_that_are_not_positive(total, gradient, weight, share):
    shown = pointed(total, gradient)
    cam = plugins.load("camx.camcore.methods", "cam", "gradcampp").object
    result = []
    expected = (
        f"gradcampp at layer relu: {share} % of the denominators 2 + g sum A are not positive"
    )
    assert said(lambda: result.append(cam(shown))) == ([("Degenerate", expected)] if share else [])
    assert torch.allclose(result[0], (weight * shown.acts[:, 0]).relu(), atol=1e-6)
    assert said(lambda: cam(shown)) == []
