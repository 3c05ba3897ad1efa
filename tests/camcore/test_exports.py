"""Maps of one ONNX file, run by onnxruntime, against camx's own, which takes gradients."""

import numpy as np
import pytest
import torch
from torch import nn

from camx.camcore import exports, networks
from camx.camcore.layers import Layer
from camx.camcore.networks import Network
from camx.camcore.preprocessing import Preprocessing
from camx.evaluators import grids, protocols
from camx.evaluators.tasks import localize
from camx.evaluators.types import Cell

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


class Signed(nn.Module):
    """Its last activations have both signs, so that no ReLU hides one."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, 2, 1)
        self.last = nn.Conv2d(8, 12, 3, 2, 1)
        self.fc = nn.Linear(12, 5)

    def forward(self, images):
        last = self.last(torch.relu(self.first(images)))
        return self.fc(last.mean((2, 3)))


class Squeezed(Signed):
    """SqueezeNet's end: a 1x1 convolution and a ReLU before the average."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Conv2d(12, 5, 1)

    def forward(self, images):
        return torch.relu(self.fc(self.last(torch.relu(self.first(images))))).mean((2, 3))


def small(kind=Signed):
    torch.manual_seed(0)
    module = kind().eval().requires_grad_(False)
    layers = {name: Layer(name, name) for name in ("last", "first")}
    form = Preprocessing("caffe", (104.0, 117.0, 123.0), (1.0, 1.0, 1.0), 1.0, bgr=True)
    return Network("small", module, layers, 32, form, 5, "none", "0" * 64)


NETWORKS = {
    "small": (small, "last"),
    "mini-resnet": (lambda: networks.load("mini-resnet"), "layer4"),
}


def protocol(**fields):
    return protocols.load("single", "localize", localize.Protocol, fields)


def plain(asked):
    names = ("view", "target", "style", "gradient", "normalisation")
    return {name: getattr(asked, name) for name in names}


@pytest.mark.parametrize("method", exports.METHODS)
@pytest.mark.parametrize("name", NETWORKS)
def test_onnxruntime_makes_the_maps_that_gradients_make(name, method, tmp_path):
    make, layer = NETWORKS[name]
    network, asked = make(), protocol()
    exported = exports.exportable(network, method, [layer], plain(asked))
    path = tmp_path / "network.onnx"
    exports.write(exported, path, {"method": method, "names": ["a", "b"]})
    cell = Cell(method, (layer,))
    making = grids.plan(network, asked, [cell], [method])
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for count in (1, 5):  # any number of images
        side = network.input_size
        generator = torch.Generator().manual_seed(count)
        images = torch.randint(256, (count, 3, side, side), generator=generator).byte()
        classes = grids.first_choices(making, images)
        expected, logits = grids.grids(making, images, classes, [cell], count)
        got = session.run(None, {"images": images.numpy()})
        scale = float(logits.abs().max())
        np.testing.assert_allclose(got[0], logits[:, 0].numpy(), atol=1e-4 * max(1, scale))
        np.testing.assert_array_equal(got[1], classes.numpy())
        np.testing.assert_allclose(got[2], expected[cell].numpy(), atol=1e-4)
        assert got[2].any()
    assert session.get_modelmeta().custom_metadata_map == {"method": method, "names": '["a", "b"]'}
    assert max(exports.difference(exported, path).values()) < 1e-3 * max(1, scale)


def test_a_class_that_is_asked_for(tmp_path):
    network, asked = small(), protocol(normalisation="minmax")
    exported = exports.exportable(network, "layercam", ["last"], plain(asked), label=3)
    exports.write(exported, tmp_path / "network.onnx", {})
    session = onnxruntime.InferenceSession(str(tmp_path / "network.onnx"))
    images = torch.randint(256, (4, 3, 32, 32), generator=torch.Generator().manual_seed(0)).byte()
    cell = Cell("layercam", ("last",))
    making = grids.plan(network, asked, [cell])
    expected, _ = grids.grids(making, images, torch.full((4,), 3), [cell], 4)
    _, labels, maps = session.run(None, {"images": images.numpy()})
    assert labels.tolist() == [3] * 4
    np.testing.assert_allclose(maps, expected[cell].numpy(), atol=1e-4)


@pytest.mark.parametrize(
    ("method", "layers", "fields", "words"),
    [
        ("scorecam", ["last"], {}, "method 'scorecam' cannot be exported.*: cam, gradcam, hires"),
        ("gradcampp", ["last"], {}, "method 'gradcampp' cannot be exported"),
        ("cam", ["first"], {}, "layer first of small cannot be exported.*that can: last"),
        ("cam", ["last", "first"], {}, r"the fusion last\+first cannot be exported"),
        ("cam", ["last"], {"target": "softmax"}, "target 'softmax' cannot .* accepted: 'logit'"),
        ("cam", ["last"], {"view": "ten-crop"}, "view 'ten-crop' cannot .* accepted: 'resize'"),
    ],
)
def test_what_cannot_be_exported_is_named(method, layers, fields, words):
    with pytest.raises(ValueError, match=words):
        exports.exportable(small(), method, layers, plain(protocol(**fields)))


def test_a_head_that_is_not_linear_in_the_average_is_refused():
    with pytest.raises(ValueError, match=r"layer last of small cannot .*that can: none"):
        exports.exportable(small(Squeezed), "cam", ["last"], plain(protocol()))


def test_a_gradient_taken_elsewhere_is_refused():
    network = small()
    network.layers["last"] = Layer("last", "last", "fc")
    exports.exportable(network, "cam", ["last"], plain(protocol(gradient="own")))
    with pytest.raises(ValueError, match="cannot be exported"):
        exports.exportable(network, "cam", ["last"], plain(protocol(gradient="next")))
