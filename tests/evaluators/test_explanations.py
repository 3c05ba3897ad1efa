"""A picture explained: every form of picture and network, and what is measured of its maps."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import interpolate

import camx
from camx.camcore import networks, views
from camx.camcore.layers import Layer
from camx.evaluators import datasets, explanations, heatmaps, loop
from camx.evaluators.miniature.ilsvrc import CLASSES

QUICK = {"methods": ["layercam"], "layers": ["S5", "S4"]}


@pytest.fixture(scope="module")
def network():
    return networks.load("mini-vgg")


@pytest.fixture(scope="module")
def sample():
    return datasets.load("mini").samples[0]


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)


@pytest.fixture
def module():
    """Two stages and four classes, in training mode, one parameter asking for no gradient."""
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(3, 5, 3, 2, 1), nn.BatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 6, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(6, 4),
    )  # fmt: skip
    made[0].weight.requires_grad_(False)
    return made


def test_importing_camx_imports_no_torch():
    code = "import camx, sys; assert 'explain' in dir(camx); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert {"Explanation", "Layer", "Network", "explain", "load"} == set(camx.__all__)
    assert camx.explain is explanations.explain
    assert camx.load is networks.load
    with pytest.raises(AttributeError, match="'camx' has no attribute 'explode'"):
        _ = camx.explode
    assert (Path(camx.__file__).parent / "py.typed").is_file()


def test_every_form_of_a_picture_is_the_same_picture(network, pixels, tmp_path):
    Image.fromarray(pixels).save(tmp_path / "x.png")
    forms = [str(tmp_path / "x.png"), tmp_path / "x.png", Image.fromarray(pixels), pixels]
    seen = [camx.explain(network, form, **QUICK) for form in forms]
    for other in seen:
        assert (other.pixels == pixels).all()
        assert other.maps.keys() == {("layercam", "S5"), ("layercam", "S4")}
        for key, heatmap in other.maps.items():
            assert heatmap.shape == (30, 40)
            assert (heatmap == seen[0].maps[key]).all()
    assert (camx.explain("mini-vgg", pixels, **QUICK).probabilities == seen[0].probabilities).all()


def test_grey_and_transparent_pixels_are_pictures(network, pixels):
    grey = camx.explain(network, pixels[..., 0], **QUICK)
    assert (grey.pixels == pixels[..., :1]).all()
    opaque = np.dstack([pixels, np.full((30, 40), 255, np.uint8)])
    assert (camx.explain(network, opaque, **QUICK).pixels == pixels).all()
    deep = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    assert (camx.explain(network, deep, **QUICK).pixels == pixels[..., :1]).all()


def test_a_file_is_turned_as_its_exif_says(network, pixels, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "x.png", exif=exif)
    seen = camx.explain(network, tmp_path / "x.png", **QUICK)
    assert (seen.pixels == np.rot90(pixels, -1)).all()


def test_maps_are_the_engine_s(network, pixels):
    """Normalised by the maximum on the network's input, then resized onto the picture."""
    seen = camx.explain(network, pixels, methods=["gradcam"], layers=["S4"])
    inputs = network.prepare(torch.from_numpy(views.squash(Image.fromarray(pixels), 112))[None])
    from camx.camcore import maps

    label = int(network.module(inputs).argmax())
    how = [network.layers["S4"]], maps.methods(["gradcam"]), "next"
    raw, logits = maps.compute(network.module, inputs, torch.tensor([label]), *how)
    grid = interpolate(raw["gradcam", "S4"][None], (112, 112), mode="bilinear", align_corners=True)
    grid = (grid / (grid.max() + 1e-8))[0, 0].numpy()
    assert seen.label == label
    assert np.allclose(seen.probabilities, logits[0].softmax(0))
    expected = heatmaps.on_image(grid, (40, 30)).clip(0, 1)
    assert np.allclose(seen.maps["gradcam", "S4"], expected, atol=1e-6)
    assert seen.maps["gradcam", "S4"].max() > 0.5


def test_boxes_are_those_that_are_measured(network, sample):
    """The same as `camx localize` records, from maps of 256 levels."""
    from camx.evaluators import grids, protocols
    from camx.evaluators.tasks import localize
    from camx.evaluators.types import Cell

    protocol = protocols.load("single", "localize", localize.Protocol)
    cells = [Cell.of("layercam", layer) for layer in ("S5", "S3")]
    plan = grids.plan(network, protocol, cells, batch_size=1)
    picture = loop.decode(sample, (plan.view.grid,))
    target = torch.tensor([sample.label])
    made, logits = grids.image_maps(plan, loop.stacked([picture]), target)
    graded = localize.grade(picture, {c: m[0] for c, m in made.items()}, logits[0], protocol)
    seen = camx.explain(
        network, sample.path, ["layercam"], ["S5", "S3"], label=sample.label
    )  # fmt: skip
    for record in graded:
        box = record.x0, record.y0, record.x1, record.y1
        assert seen.box("layercam", record.layer) == box
    assert seen.heatmap("layercam", "S5").dtype == np.uint8


def test_the_miniature_s_classes_have_names(network, sample):
    seen = camx.explain(network, sample.path, **QUICK)
    name, share = seen.top(1)[0]
    assert name in CLASSES.values()
    assert share == pytest.approx(seen.probabilities.max())
    assert seen.name(seen.label) == name
    assert [s for _, s in seen.top(3)] == sorted(seen.probabilities, reverse=True)[:3]
    asked = camx.explain(network, sample.path, label="star", **QUICK)
    assert asked.name(asked.label) == "star"
    again = camx.explain(network, sample.path, label=asked.label, **QUICK)
    assert (asked.maps["layercam", "S4"] == again.maps["layercam", "S4"]).all()


def test_everything_that_one_pass_gives_is_the_default(network, pixels):
    seen = camx.explain(network, pixels)
    assert len(seen.maps) == 25
    fused = camx.explain(network, pixels, ["layercam"], ["S4+S5"])
    assert list(fused.maps) == [("layercam", "S5+S4")]


def test_a_bare_module_is_left_as_it_was(module, pixels):
    flags = [p.requires_grad for p in module.parameters()]
    state = {key: value.clone() for key, value in module.state_dict().items()}
    seen = camx.explain(
        module, pixels, ["layercam", "gradcam"], ["4", Layer("early", "2"), "4+2"], input_size=32,
        class_names=["a", "b", "c", "d"],
    )  # fmt: skip
    assert {layer for _, layer in seen.maps} == {"4", "early", "4+2"}
    assert seen.name(seen.label) in "abcd"
    assert module.training
    assert flags == [p.requires_grad for p in module.parameters()]
    assert all(p.grad is None for p in module.parameters())
    assert all(value.equal(state[key]) for key, value in module.state_dict().items())
    assert not any(part._forward_hooks for part in module.modules())
    assert camx.explain(module, pixels, layers=["4"], label=3).name(3) == "class 3"


def test_a_bare_module_s_input_is_as_it_is_told(module, pixels):
    asked = {"methods": ["layercam"], "layers": ["4"], "input_size": 32}
    inputs = torch.from_numpy(views.squash(Image.fromarray(pixels), 32))[None].float() / 255
    default = (inputs - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(3, 1, 1)
    seen = camx.explain(module, pixels, **asked)
    module.eval()
    with torch.no_grad():
        assert np.allclose(seen.probabilities, module(default)[0].softmax(0), atol=1e-6)
        told = camx.explain(module, pixels, mean=(0, 0, 0), std=(2, 2, 2), **asked)
        assert np.allclose(told.probabilities, module(inputs / 2)[0].softmax(0), atol=1e-6)


def test_a_prepared_tensor_is_the_picture_it_was_made_of(network, pixels):
    square = np.ascontiguousarray(views.squash(Image.fromarray(pixels), 112).transpose(1, 2, 0))
    inputs = network.prepare(torch.from_numpy(square.transpose(2, 0, 1))[None])
    one, other = (camx.explain(network, form, **QUICK) for form in (square, inputs))
    assert (one.pixels == other.pixels).all()
    assert (one.probabilities == other.probabilities).all()
    for key, heatmap in one.maps.items():
        assert (heatmap == other.maps[key]).all()
    assert (camx.explain(network, inputs[0], **QUICK).pixels == other.pixels).all()


def test_a_prepared_tensor_need_not_be_square(module):
    """A bright spot moved from left to right moves in the map."""
    module.eval()
    for p in module.parameters():
        p.data.abs_()
    places = []
    for at in (8, 56):
        inputs = torch.zeros(1, 3, 32, 80)
        inputs[..., 12:20, at : at + 8] = 3
        seen = camx.explain(module, inputs, ["layercam"], ["4"], label=0)
        heatmap = seen.maps["layercam", "4"]
        assert heatmap.shape == seen.pixels.shape[:2] == (32, 80)
        places.append(np.unravel_index(heatmap.argmax(), heatmap.shape))
    assert abs(places[0][1] - 12) < 8
    assert abs(places[1][1] - 60) < 8
    assert all(abs(row - 16) < 8 for row, _ in places)


def test_overlays_are_of_the_picture_s_size_and_in_its_colours(network, pixels):
    seen = camx.explain(network, pixels, **QUICK)
    picture = seen.overlay("layercam", "S4")
    assert picture.size == (40, 30)
    assert picture.mode == "RGB"
    grey = np.asarray(seen.overlay("layercam", "S4", alpha=0))
    assert (np.ptp(grey, axis=2) == 0).all()
    assert np.abs(grey[..., 0] - pixels @ [0.299, 0.587, 0.114]).max() <= 0.5
    whole = np.asarray(seen.overlay("layercam", "S4", alpha=1)).astype(int)
    high = np.unravel_index(seen.maps["layercam", "S4"].argmax(), (30, 40))
    low = np.unravel_index(seen.maps["layercam", "S4"].argmin(), (30, 40))
    assert whole[high].min() > 130  # light yellow
    assert whole[low].max() < 60  # dark violet


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"picture": np.zeros((4, 4, 3))}, r"ndarray float64 \(4, 4, 3\); accepted: a path, a PIL"),
        ({"picture": np.zeros((4, 4, 2), np.uint8)}, r"ndarray uint8 \(4, 4, 2\); accepted"),
        ({"picture": np.zeros((0, 4), np.uint8)}, r"ndarray uint8 \(0, 4\); accepted"),
        ({"picture": torch.zeros(3, 4, 4).byte()}, r"Tensor torch.uint8 \(3, 4, 4\); accepted"),
        ({"picture": torch.zeros(2, 3, 4, 4)}, r"tensor \(2, 3, 4, 4\); accepted"),
        ({"picture": 5}, "picture is a int; accepted"),
        ({"picture": "nobody.png"}, "nobody.png: no such image"),
        ({"network": 5}, "network is a int; accepted: a name of `camx list models`"),
        ({"network": "mini-vg"}, "Did you mean 'mini-vgg'?"),
        ({"layers": ["S9"]}, "unknown layer 'S9' of mini-vgg"),
        ({"methods": ["layercan"]}, "Did you mean 'layercam'?"),
        ({"label": 10}, r"unknown class 10; accepted: 0\.\.9, or a name such as 'arrow'"),
        ({"label": -1}, r"unknown class -1; accepted: 0\.\.9"),
        ({"label": "stra"}, "Did you mean 'star'?"),
        ({"mean": (0, 0, 0), "std": (1, 1, 1)}, "mean, std: network mini-vgg has its own"),
    ],
)
def test_errors_are_one_line(network, pixels, changed, told):
    asked = {"network": network, "picture": pixels, **QUICK, **changed}
    with pytest.raises((ValueError, FileNotFoundError), match=told) as error:
        camx.explain(**asked)
    assert "\n" not in str(error.value)


def test_a_bare_module_s_errors_are_one_line(module, pixels):
    with pytest.raises(ValueError, match=r"unknown layer '5\.x'; known: S\d.*top are: 0, 1"):
        camx.explain(module, pixels, layers=["5.x"])
    with pytest.raises(ValueError, match=r"unknown class 4; accepted: 0\.\.3$"):
        camx.explain(module, pixels, layers=["4"], label=4)
    seen = camx.explain(module, pixels, ["layercam"], layers=["4"])
    with pytest.raises(ValueError, match=r"no map of layercam at 2; there are: layercam 4"):
        seen.overlay("layercam", "2")
    module[8].bias.data[2] = torch.inf
    with pytest.raises(ValueError, match=r"^the logits of Sequential hold Inf$"):
        camx.explain(module, pixels, layers=["4"])
    with pytest.raises(ValueError, match=r"^the logits of Sequential hold Inf$"):
        camx.explain(module, torch.zeros(1, 3, 32, 32), layers=["4"])
