"""The DeepLab-LargeFOV networks: strides, fields of view, parameter groups, initial weights."""

from dataclasses import replace

import pytest
import safetensors.torch
import torch
from torch import nn

from camx.camcore import networks, plugins
from camx.camcore.models import mini_vgg, vgg16
from camx.camcore.segmenters import deeplab_resnet101, deeplab_vgg16, mini_largefov

NAMES = plugins.names(networks.SEGMENTERS)


def positive(module):
    """The layers one channel wide, average pools, positive weights: every path has a gradient."""
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d):
            conv = nn.Conv2d(
                1,
                1,
                child.kernel_size,
                child.stride,
                child.padding,
                child.dilation,
                dtype=torch.double,
            )
            nn.init.constant_(conv.weight, 1 / conv.weight.numel())
            nn.init.zeros_(conv.bias)
            setattr(module, name, conv)
        elif isinstance(child, nn.MaxPool2d):
            setattr(module, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
        else:
            positive(child)
    return module.eval()


def support(module, side):
    """Height and width of what the middle output cell sees of an input of that side."""
    image = torch.ones(1, 1, side, side, dtype=torch.double, requires_grad=True)
    out = module(image)
    middle = out.shape[-1] // 2
    (seen,) = torch.autograd.grad(out[0, 0, middle, middle], image)
    rows, columns = seen[0, 0].nonzero().T
    return tuple(int(v.max() - v.min() + 1) for v in (rows, columns))


@pytest.mark.parametrize("name", NAMES)
def test_output_stride_is_eight(name):
    spec = networks.spec(name, networks.SEGMENTERS)
    with torch.device("meta"):
        module = spec.build(21).eval()
        for side, cells in ((321, 41), (401, 51), (spec.input_size, (spec.input_size + 7) // 8)):
            assert module(torch.empty(2, 3, side, side)).shape == (2, 21, cells, cells)


def test_one_output_of_vgg16_sees_435_pixels():
    with torch.device("meta"):
        module = deeplab_vgg16.build()
    module = positive(module)
    assert module(torch.ones(1, 1, 321, 321, dtype=torch.double)).shape[-1] == 41
    assert support(module, 801) == (435, 435)
    assert support(module.head, 41) == (25, 25)  # fc6


def test_the_fields_of_view_of_the_others():
    with torch.device("meta"):
        slim, deep = mini_largefov.build(), deeplab_resnet101.build()
    assert support(positive(slim).head, 17) == (11, 11)
    assert support(positive(deep.head), 41) == (25, 25)
    dilations = [
        m.dilation[0]
        for m in deep.modules()
        if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)
    ]
    assert dilations == [1] * 7 + [2] * 23 + [4] * 3 + [12]  # OAA's train_resnet_fov.prototxt


def multiples(spec, module, lr=0.001):
    """How many times `lr` each parameter learns, by name."""
    names = {id(p): n for n, p in module.named_parameters()}
    return {
        names[id(p)]: round(g["lr"] / lr, 6) for g in spec.groups(module, lr) for p in g["params"]
    }


def test_vgg16_s_parameter_groups():
    with torch.device("meta"):
        module = deeplab_vgg16.build()
    times_by_name = multiples(deeplab_vgg16, module)
    assert set(times_by_name) == {n for n, _ in module.named_parameters()}
    assert len(times_by_name) == 2 * 16
    for name, times in times_by_name.items():
        assert times == (10 if "score" in name else 1) * (2 if name.endswith("bias") else 1), name
    assert [g.get("weight_decay") for g in deeplab_vgg16.groups(module, 1.0)] == [
        None,
        0.0,
        None,
        0.0,
    ]


def test_resnet101_s_parameter_groups():
    with torch.device("meta"):
        module = deeplab_resnet101.build()
    times_by_name = multiples(deeplab_resnet101, module)
    assert {n for n, t in times_by_name.items() if t == 10} == {
        "head.fc6.weight",
        "head.fc7.weight",
        "head.score.weight",
    }
    assert {n for n, t in times_by_name.items() if t == 20} == {"head.score.bias"}
    convolutions = {
        f"{n}.weight"
        for n, m in module.named_modules()
        if isinstance(m, nn.Conv2d) and not n.startswith("head")
    }
    assert {n for n, t in times_by_name.items() if t == 1} == convolutions
    assert len(times_by_name) == len(convolutions) + 4  # no batch norm's


def test_batch_norms_stay_as_they_came():
    with torch.device("meta"):
        module = deeplab_resnet101.build().train()
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 104
    assert module.training
    assert not any(m.training or m.weight.requires_grad for m in norms)


def test_imagenet_weights_fit_by_name():
    """What torchvision's networks have below their classifiers is what the plug-ins ask for."""
    from torchvision.models import resnet101

    from camx.camcore.models import vgg16_cam

    with torch.device("meta"):
        pairs = [
            (vgg16.build(), deeplab_vgg16.SPEC),
            (vgg16.build(), vgg16_cam.SPEC),
            (resnet101(), deeplab_resnet101.SPEC),
        ]
        for theirs, spec in pairs:
            shapes = {
                k: v.shape for k, v in theirs.state_dict().items() if k.startswith(spec.backbone)
            }
            assert shapes == {
                k: v.shape
                for k, v in spec.build(5).state_dict().items()
                if k.startswith(spec.backbone)
            }


def test_the_backbone_comes_from_a_classifier_and_the_rest_is_new():
    start = networks.start("mini-largefov", None, 21, 3, package=networks.SEGMENTERS)
    assert (start.init, start.input_size, start.preprocessing.name) == (
        "mini-vgg.safetensors",
        129,
        "torchvision",
    )
    shipped = networks.load("mini-vgg").module.state_dict()
    for key, value in start.module.state_dict().items():
        assert (
            torch.equal(value, shipped[key]) == key.startswith("features.")
            if key in shipped
            else key.startswith("head.")
        )
    assert start.module.head.score.out_channels == 21
    again = networks.start("mini-largefov", None, 21, 3, package=networks.SEGMENTERS)
    other = networks.start("mini-largefov", None, 21, 4, package=networks.SEGMENTERS)
    assert torch.equal(start.module.head.fc6.weight, again.module.head.fc6.weight)
    assert not torch.equal(start.module.head.fc6.weight, other.module.head.fc6.weight)
    assert all(p.requires_grad for p in start.module.parameters())
    torch.manual_seed(3)
    drawn = mini_largefov.build(21)
    assert torch.equal(start.module.head.fc6.weight, drawn.head.fc6.weight)


def test_what_else_fits_is_taken(tmp_path):
    """The network's own weights are taken whole; of other classes, all but the score."""
    first = networks.start("mini-largefov", "none", 5, 0, package=networks.SEGMENTERS)
    assert (
        "features.bn0.weight" in first.module.state_dict()
    )  # from nothing, it trains with batch norm
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(first.module.state_dict(), path)
    for classes in (5, 7):
        state = networks.start(
            "mini-largefov", str(path), classes, 1, package=networks.SEGMENTERS
        ).module.state_dict()
        same = {
            k
            for k, v in first.module.state_dict().items()
            if v.shape == state[k].shape and torch.equal(v, state[k])
        }
        assert set(state) - same == (
            set() if classes == 5 else {"head.score.weight", "head.score.bias"}
        )
    loaded = networks.load("mini-largefov", str(path), package=networks.SEGMENTERS)
    assert (loaded.classes, loaded.layers) == (5, {})


def test_weights_without_the_backbone_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    state = mini_vgg.build().state_dict()
    safetensors.torch.save_file({k: v for k, v in state.items() if k != "features.0.bias"}, path)
    with pytest.raises(
        ValueError, match=r"do not fit mini-largefov: features\.0\.bias is missing$"
    ):
        networks.start("mini-largefov", str(path), 21, 0, package=networks.SEGMENTERS)
    with pytest.raises(
        ValueError,
        match="unknown segmenter 'deeplab'; known: deeplab-resnet101, deeplab-vgg16, mini-largefov",
    ):
        networks.start("deeplab", None, 21, 0, package=networks.SEGMENTERS)


def test_fc6_and_fc7_are_vgg16_s_thinned_out():
    """At the cells that remain, fc6 answers as VGG16's does to an input that is zero elsewhere."""
    torch.manual_seed(0)
    fc6, fc7 = nn.Linear(2 * 49, 8), nn.Linear(8, 8)
    state = {"features.0.bias": torch.ones(1), "classifier.6.weight": torch.ones(1)}
    state |= {
        f"classifier.{i}.{k}": v.detach()
        for i, m in ((0, fc6), (3, fc7))
        for k, v in m.state_dict().items()
    }
    adopted = deeplab_vgg16.adopt(state)
    assert {k: tuple(v.shape) for k, v in adopted.items()} == {
        "features.0.bias": (1,),
        "classifier.6.weight": (1,),
        "head.fc6.weight": (2, 2, 3, 3),
        "head.fc7.weight": (2, 2, 1, 1),
        "head.fc6.bias": (2,),
        "head.fc7.bias": (2,),
    }
    cells = torch.zeros(1, 2, 7, 7)
    cells[..., ::3, ::3] = torch.randn(1, 2, 3, 3)
    expected = fc6(cells.flatten(1))[0, ::4]
    answer = nn.functional.conv2d(
        cells[..., ::3, ::3], adopted["head.fc6.weight"], adopted["head.fc6.bias"]
    ).flatten()
    assert torch.allclose(answer, expected, atol=1e-5)


def test_preprocessing_follows_the_weights(tmp_path, monkeypatch):
    """Caffe's for VGG16's weights from a file, unless the file says what it was trained with."""
    from camx.camcore.models import vgg16_cam

    def slim(classes=20):
        return vgg16_cam.CAMForm(nn.Conv2d(3, 8, 3), 8, classes)

    monkeypatch.setattr(vgg16_cam, "SPEC", replace(vgg16_cam.SPEC, build=slim))
    path, said = tmp_path / "w.pth", tmp_path / "w.safetensors"
    torch.save(
        {**slim().state_dict(), "classifier.0.weight": torch.ones(2)}, path
    )  # an unknown extra key
    start = networks.start("vgg16-cam", str(path), 20, 0)
    assert (start.preprocessing.name, start.preprocessing.bgr) == ("caffe", True)
    assert (
        networks.start("vgg16-cam", str(path), 20, 0, preprocessing="model").preprocessing.name
        == "torchvision"
    )
    assert networks.start("vgg16-cam", "none", 20, 0).preprocessing.name == "torchvision"
    for name in ("torchvision", "caffe"):
        safetensors.torch.save_file(slim().state_dict(), said, {"preprocessing": name})
        for asked in ("paper", "model"):
            assert networks.load("vgg16-cam", str(said), asked).preprocessing.name == name
            assert (
                networks.start(
                    "vgg16-cam", str(said), 20, 0, preprocessing=asked
                ).preprocessing.name
                == name
            )


def test_new_layers_of_a_classifier_learn_faster():
    start = networks.start("mini-vgg-voc", "none", 20, 0)
    names = {id(p): n for n, p in start.module.named_parameters()}
    times = {names[id(p)]: round(g["lr"], 6) for g in start.groups(1.0) for p in g["params"]}
    for name, multiple in times.items():
        assert multiple == (1 if name.startswith("features.") else 10) * (
            2 if name.endswith("bias") else 1
        )
    plain = networks.start("mini-resnet", "none", 20, 0)
    assert [len(g["params"]) for g in plain.groups(1.0)][2:] == [
        1,
        1,
    ]  # the last layer's weight and bias


def test_the_slim_networks_have_vgg16_s_module_names():
    from camx.camcore.models import mini_vgg_voc, vgg16_cam

    with torch.device("meta"):
        assert list(vgg16_cam.build().state_dict()) == list(mini_vgg_voc.build().state_dict())
        assert list(deeplab_vgg16.build().state_dict()) == list(mini_largefov.build().state_dict())
        trained = mini_vgg_voc.build(10, batch_norm=True)
    assert mini_vgg_voc.arguments(trained.state_dict()) == {"batch_norm": True}
    for path, follower in mini_vgg_voc.SPEC.layers.values():
        assert isinstance(trained.get_submodule(path), nn.ReLU)
        assert follower is None or isinstance(trained.get_submodule(follower), nn.MaxPool2d)
