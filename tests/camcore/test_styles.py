"""The styles against the packages they follow, on the same network and images."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from camx.camcore import fusion, maps, networks, plugins
from camx.camcore.image_files import read_image
from camx.evaluators import datasets

grad_cam = pytest.importorskip("pytorch_grad_cam", reason="extra `bench` is not installed")


@pytest.fixture(scope="module")
def network():
    return networks.load("mini-vgg")


@pytest.fixture
def images(network):
    from camx.camcore import views

    samples = datasets.load("mini").samples[:3]
    squashed = np.stack([views.squash(read_image(s.path), 112) for s in samples])
    return network.preprocessing(torch.from_numpy(squashed))


TARGETS = [4, 1, 9]


def ours(style, network, images, methods, layers, target="logit"):
    taps = [network.layer(name) for name in layers]
    cams = maps.methods(methods, style)
    raw, _ = maps.compute(network.module, images, torch.tensor(TARGETS), taps, cams, target=target)
    return {
        m: plugins.load(maps.STYLES, "combine", style).object(m, [raw[m, y] for y in layers], 112)
        for m in methods
    }


@pytest.mark.parametrize("layers", [["S5"], ["S4"], ["S3"], ["S5", "S4", "S3"]])
@pytest.mark.parametrize(
    "method",
    ["gradcam", "gradcampp", "layercam", "hirescam", "xgradcam", "eigencam", "eigengradcam"],
)
def test_pytorch_grad_cam(network, images, method, layers):
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    theirs = {
        "gradcam": grad_cam.GradCAM,
        "gradcampp": grad_cam.GradCAMPlusPlus,
        "layercam": grad_cam.LayerCAM,
        "hirescam": grad_cam.HiResCAM,
        "xgradcam": grad_cam.XGradCAM,
        "eigencam": grad_cam.EigenCAM,
        "eigengradcam": grad_cam.EigenGradCAM,
    }[method]
    modules = [network.module.get_submodule(network.layer(y).activation) for y in layers]
    with theirs(network.module.requires_grad_(True), modules) as cam:
        expected = cam(images, [ClassifierOutputTarget(t) for t in TARGETS])
    cams = ours("pytorch-grad-cam", network, images, [method], layers)[method]
    assert np.abs(cams.numpy() - expected).max() < 1e-4


def test_pytorch_grad_cam_scorecam(network, images, capfd):
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    module = network.module.get_submodule("features.29")
    with grad_cam.ScoreCAM(network.module, [module]) as cam, torch.no_grad():
        expected = cam(images, [ClassifierOutputTarget(t) for t in TARGETS])
    cams = ours("pytorch-grad-cam", network, images, ["scorecam"], ["S5"])["scorecam"]
    assert np.abs(cams.numpy() - expected).max() < 1e-4


def signed():
    """A network whose activations may be negative."""
    from torch import nn

    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 40, 3, 8, bias=False), nn.BatchNorm2d(40), nn.GELU(),
        nn.Conv2d(40, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, 10),
    ).eval()  # fmt: skip


@pytest.mark.parametrize("case", [pytest.param("mini-vgg", marks=pytest.mark.slow), "signed"])
def test_pytorch_grad_cam_ablationcam(network, images, case):
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    net = network.module if case == "mini-vgg" else signed()
    path = "features.29" if case == "mini-vgg" else "2"
    with grad_cam.AblationCAM(net, [net.get_submodule(path)]) as cam, torch.no_grad():
        expected = cam(images, [ClassifierOutputTarget(t) for t in TARGETS])
    cams = maps.methods(["ablationcam"], "pytorch-grad-cam")
    raw, _ = maps.compute(net, images, torch.tensor(TARGETS), [maps.Layer("x", path)], cams)
    combine = maps.combination("pytorch-grad-cam")
    made = combine("ablationcam", [raw["ablationcam", "x"]], 112)
    assert expected.max() > 0.5
    assert np.abs(made.numpy() - expected).max() < 1e-4


def test_pytorch_grad_cam_fullgrad(images, capfd):
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    from torch import nn

    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 4), nn.BatchNorm2d(8), nn.ReLU(True), nn.Conv2d(8, 6, 3, 2),
        nn.ReLU(True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 10),
    ).eval()  # fmt: skip
    net[1].running_mean.normal_()
    nn.init.normal_(net[1].bias)
    with grad_cam.FullGrad(net, []) as cam:
        expected = cam(images, [ClassifierOutputTarget(t) for t in TARGETS])
    cams = maps.methods(["fullgrad"], "pytorch-grad-cam")
    raw, _ = maps.compute(net, images, torch.tensor(TARGETS), [maps.Layer("x", "2")], cams)
    made = maps.combination("pytorch-grad-cam")("fullgrad", [raw["fullgrad", "x"]], 112)
    assert np.abs(made.numpy() - expected).max() < 1e-4


def test_pytorch_grad_cam_shapleycam(images):
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    net = signed()
    with grad_cam.ShapleyCAM(net, [net[1]]) as cam:
        expected = cam(images, [ClassifierOutputTarget(t) for t in TARGETS])
    cams = maps.methods(["shapleycam"], "pytorch-grad-cam")
    raw, _ = maps.compute(net, images, torch.tensor(TARGETS), [maps.Layer("x", "1")], cams)
    made = maps.combination("pytorch-grad-cam")("shapleycam", [raw["shapleycam", "x"]], 112)
    assert np.abs(made.numpy() - expected).max() < 1e-4


@pytest.mark.parametrize("layer", ["S5", "S3"])
def test_pytorch_grad_cam_randomcam(network, images, layer, monkeypatch):
    """The same map of the same weights, which theirs draws from NumPy's state."""
    from camx.camcore import chance, taps

    layer = network.layer(layer)
    tapped = taps.tap(network.module, images, torch.tensor(TARGETS), [layer])[layer.name]
    weights = chance.uniform(tapped).numpy()
    monkeypatch.setattr(np.random, "uniform", lambda low, high, size: weights.reshape(size))
    with grad_cam.RandomCAM(
        network.module, [network.module.get_submodule(layer.activation)]
    ) as cam:
        expected = cam(images, None)
    cams = ours("pytorch-grad-cam", network, images, ["randomcam"], [layer.name])["randomcam"]
    assert np.abs(cams.numpy() - expected).max() < 1e-4


@pytest.mark.parametrize("layer", ["S5", "S3"])
def test_pytorch_grad_cam_finer(network, images, layer):
    """Of the classes named, one for all images; who is nearest, theirs finds itself.

    By a network less sure of itself: theirs adds 1e-9 to probabilities smaller than that.
    """
    network = dataclasses.replace(network, module=copy.deepcopy(network.module))
    for parameter in network.module.classifier[-1].parameters():
        parameter.data *= 0.1
    module = network.module.get_submodule(network.layer(layer).activation)
    with grad_cam.FinerCAM(network.module.requires_grad_(True), [module]) as cam:
        expected = [
            cam(images[i : i + 1], target_idx=target)[0] for i, target in enumerate(TARGETS)
        ]
    cams = ours("pytorch-grad-cam", network, images, ["gradcam"], [layer], "finer-softmax")
    assert np.abs(cams["gradcam"].numpy() - np.stack(expected)).max() < 1e-4


def test_pytorch_grad_cam_softmax(network, images):
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

    module = network.module.get_submodule("features.29")
    with grad_cam.LayerCAM(network.module.requires_grad_(True), [module]) as cam:
        expected = cam(images, [ClassifierOutputSoftmaxTarget(t) for t in TARGETS])
    cams = ours("pytorch-grad-cam", network, images, ["layercam"], ["S5"], "softmax")
    assert np.abs(cams["layercam"].numpy() - expected).max() < 1e-4


def test_pytorch_grad_cam_refine(network, images):
    """The product of its own maps of single layers."""
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    layers, module = ["S5", "S4", "S3"], network.module.requires_grad_(True)
    theirs = grad_cam.RefineCAM(
        module, [module.get_submodule(network.layer(y).activation) for y in layers]
    )
    expected = theirs(images, [ClassifierOutputTarget(t) for t in TARGETS])
    single = {y: ours("pytorch-grad-cam", network, images, ["gradcampp"], [y]) for y in layers}
    fused = fusion.fuse({y: maps["gradcampp"] for y, maps in single.items()}, "fusion=product")
    assert np.abs(fused.numpy() - expected).max() < 1e-4
    for base in theirs.base_cam_per_layer:
        base.activations_and_grads.release()


def resized(cam):
    return torch.nn.functional.interpolate(
        cam[:, None], (112, 112), mode="bilinear", align_corners=False
    )[:, 0]


@pytest.mark.parametrize("layer", ["S5", "S4", "S3"])
@pytest.mark.parametrize("method", ["gradcam", "gradcampp", "layercam", "xgradcam"])
def test_torch_cam(network, images, method, layer):
    methods = pytest.importorskip("torchcam.methods", reason="torchcam needs Python 3.11")
    theirs = {
        "gradcam": methods.GradCAM,
        "gradcampp": methods.GradCAMpp,
        "layercam": methods.LayerCAM,
        "xgradcam": methods.XGradCAM,
    }[method]
    with theirs(network.module.requires_grad_(True), network.layer(layer).activation) as cam:
        scores = network.module(images)
        expected = resized(cam(TARGETS, scores)[0])
    cams = ours("torch-cam", network, images, [method], [layer])[method]
    assert (cams - expected).abs().max() < 1e-4


def test_torch_cam_fusion_and_scorecam(network, images):
    methods = pytest.importorskip("torchcam.methods", reason="torchcam needs Python 3.11")
    layers = ["S5", "S4", "S3"]
    with methods.LayerCAM(
        network.module.requires_grad_(True), [network.layer(y).activation for y in layers]
    ) as cam:
        maps_ = cam(TARGETS, network.module(images))
        expected = cam.fuse_cams(maps_, (112, 112))
    cams = ours("torch-cam", network, images, ["layercam"], layers)["layercam"]
    assert (cams - expected).abs().max() < 1e-4
    with methods.ScoreCAM(network.module, "features.29", input_shape=(3, 112, 112)) as cam:
        network.module(images)
        expected = resized(cam(TARGETS)[0])
    assert (
        ours("torch-cam", network, images, ["scorecam"], ["S5"])["scorecam"] - expected
    ).abs().max() < 1e-4


@pytest.mark.parametrize("method", ["gradcam", "layercam"])
def test_torch_cam_finer(network, images, method):
    methods = pytest.importorskip("torchcam.methods", reason="torchcam needs Python 3.11")
    base = {"gradcam": methods.GradCAM, "layercam": methods.LayerCAM}[method]
    module = network.module.requires_grad_(True)
    with methods.FinerCAM(module, "features.29", base_method=base) as cam:
        expected = resized(cam(TARGETS, module(images))[0])
    cams = ours("torch-cam", network, images, [method], ["S5"], "finer")[method]
    assert (cams - expected).abs().max() < 1e-4
