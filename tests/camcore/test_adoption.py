"""Weights of other people's files: which of a file's dictionaries, which prefix, whose names."""

import hashlib
from dataclasses import replace

import pytest
import torch
from torch import nn
from torchvision.models.vgg import make_layers

from camx.camcore import networks
from camx.camcore.models import mini_resnet, resnet50, vgg16, vgg16_cam
from camx.camcore.models.mini_vgg import WIDTHS
from camx.camcore.segmenters import deeplab_resnet101, deeplab_vgg16
from camx.camcore.segmenters._largefov import LargeFOV

FILE = """
from torch import nn
INPUT_SIZE, MEAN, STD = 16, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
LAYERS = {"last": ("module.conv", None)}
class Mine(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.module = nn.Module()
        self.module.conv = nn.Conv2d(3, 4, 3)
        self.module.fc = nn.Linear(4, classes)
    def forward(self, x):
        return self.module.fc(self.module.conv(x).mean((2, 3)))
def build(classes=1000):
    return Mine(classes)
"""


@pytest.fixture
def state():
    torch.manual_seed(0)
    return mini_resnet.build(7).state_dict()


def prefixed(prefix, state):
    return {prefix + key: value for key, value in state.items()}


def more(state):
    """The same weights, one more each."""
    return {key: value + 1 for key, value in state.items()}


PREFIXES = [
    "module.", "model.", "backbone.", "_orig_mod.", "net.", "encoder.", "module._orig_mod.model.",
    "student.backbone.",
]  # fmt: skip


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("key", ["", "state_dict", "model", "net", "weights", "params"])
def test_prefixes_and_keys_are_seen_by_what_fits(tmp_path, state, prefix, key):
    content = prefixed(prefix, state)
    torch.save({key: content, "epoch": 3, "lr": [0.1]} if key else content, tmp_path / "w.pth")
    network = networks.load("mini-resnet", str(tmp_path / "w.pth"))
    assert all(torch.equal(v, state[k]) for k, v in network.module.state_dict().items())
    nested = f"its {key}, " if key else ""
    assert network.weights == f"w.pth: {nested}names without {prefix}"


def test_plain_weights_are_taken_as_they_are(tmp_path, state):
    torch.save(state, tmp_path / "w.pth")
    assert networks.load("mini-resnet", str(tmp_path / "w.pth")).weights == "w.pth"


def test_the_weights_rather_than_their_running_mean(tmp_path, state):
    for order in (("ema", "model"), ("model", "model_ema"), ("state_dict_ema", "state_dict")):
        held = {k: more(state) if "ema" in k else state for k in order}
        torch.save(
            {**held, "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}}}, tmp_path / "w"
        )
        network = networks.load("mini-resnet", str(tmp_path / "w"))
        assert torch.equal(network.module.fc.weight, state["fc.weight"])
        plain, averaged = sorted(order, key=lambda key: "ema" in key)
        assert network.weights == f"w: its {plain}, {averaged} would fit as well"
    torch.save({"ema": more(state), "epoch": 3}, tmp_path / "w")
    network = networks.load("mini-resnet", str(tmp_path / "w"))
    assert torch.equal(network.module.fc.weight, state["fc.weight"] + 1)


def test_of_two_networks_in_a_file_the_one_that_fits(tmp_path, state):
    teacher = {k: torch.zeros(*v.shape, 2) for k, v in state.items()}
    for names in (("student", "teacher"), ("teacher", "student")):
        held = {name: state if name == "student" else teacher for name in names}
        torch.save(held, tmp_path / "w.pth")
        network = networks.load("mini-resnet", str(tmp_path / "w.pth"))
        assert torch.equal(network.module.fc.weight, state["fc.weight"])
        torch.save({k: v for n in names for k, v in prefixed(f"{n}.", held[n]).items()},
                   tmp_path / "w.pth")  # fmt: skip
        network = networks.load("mini-resnet", str(tmp_path / "w.pth"))
        assert torch.equal(network.module.fc.weight, state["fc.weight"])
        assert "not used: teacher." in network.weights


def test_a_prefix_that_the_network_itself_has_is_kept(tmp_path):
    (tmp_path / "mine.py").write_text(FILE)
    torch.manual_seed(0)
    theirs = networks.spec(str(tmp_path / "mine.py")).build(3).state_dict()
    assert "module.fc.weight" in theirs
    for prefix in ("", "module.", "model.module."):
        torch.save(prefixed(prefix, theirs), tmp_path / "w.pth")
        network = networks.load(str(tmp_path / "mine.py"), str(tmp_path / "w.pth"))
        assert network.classes == 3
        assert all(torch.equal(v, theirs[k]) for k, v in network.module.state_dict().items())
        start = networks.start(str(tmp_path / "mine.py"), str(tmp_path / "w.pth"), 3, 0)
        assert torch.equal(start.module.module.fc.weight, theirs["module.fc.weight"])


def test_what_does_not_fit_is_still_refused(tmp_path, state):
    for content, word in (
        ({**state, "fc2.weight": torch.ones(3)}, r"fc2\.weight is not part of mini-resnet$"),
        ({k: v for k, v in state.items() if k != "fc.bias"}, r"fc\.bias is missing$"),
        ({"state_dict": {**state, "conv1.weight": torch.ones(2)}}, r"conv1\.weight is \(2,\)"),
        ({"epoch": 3}, "names to tensors"),
    ):
        torch.save(content, tmp_path / "w.pth")
        with pytest.raises(ValueError, match=word):
            networks.load("mini-resnet", str(tmp_path / "w.pth"))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("int32", lambda w: w.int()),
        ("bool", lambda w: w > 0),
        ("complex64", lambda w: w.to(torch.complex64)),
        ("qint8", lambda w: torch.quantize_per_tensor(w, 0.1, 0, torch.qint8)),
        ("float32", lambda w: w.to_sparse()),
        ("float32", lambda w: w.to("meta")),
    ],
)
def test_numbers_of_another_kind_are_refused(tmp_path, state, kind, change):
    weights = {**state, "fc.weight": change(state["fc.weight"])}
    torch.save(weights, tmp_path / "w.pth")
    for begin in (networks.load, lambda *a: networks.start(*a, 7, 0)):
        with pytest.raises(ValueError, match=rf"w\.pth: .*fc\.weight holds {kind}.*float32$"):
            begin("mini-resnet", str(tmp_path / "w.pth"))


def test_halves_and_doubles_and_a_tuple_are_taken(tmp_path, state):
    for change in (torch.Tensor.half, torch.Tensor.double, torch.Tensor.bfloat16):
        torch.save(({k: change(v) for k, v in state.items()}, 3), tmp_path / "w.pth")
        network = networks.load("mini-resnet", str(tmp_path / "w.pth"))
        assert torch.allclose(network.module.fc.weight, state["fc.weight"], atol=1e-2)
        assert network.module.fc.weight.dtype == torch.float32


class SlimVGG(nn.Module):
    """VGG16 an eighth as wide, with its 7x7 cells."""

    def __init__(self, classes):
        super().__init__()
        self.features = make_layers(WIDTHS)
        self.classifier = nn.Sequential(
            nn.Linear(64 * 49, 32), nn.ReLU(), nn.Dropout(),
            nn.Linear(32, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, classes),
        )  # fmt: skip


def others(state):
    """The weights as packages have them: `name: state`."""
    convs = [f"features.{i}" for i in vgg16.CONVOLUTIONS]
    fcs = ["classifier.0", "classifier.3", "classifier.6"]
    stages = [f"conv{s}_{i}" for s, n in zip(range(1, 6), (2, 2, 3, 3, 3)) for i in range(1, n + 1)]
    numbers = [str(i) for i in vgg16.CONVOLUTIONS]
    schemes = {
        "jcjohnson": [*convs, "classifier.1", "classifier.4", "classifier.6"],
        "timm": [*convs, "pre_logits.fc1", "pre_logits.fc2", "head.fc"],
        "caffe": [*stages, "fc6", "fc7", "fc8"],
        "numbers": [*numbers, "32", "35", "38"],
        "no dropouts": [*convs, "classifier.0", "classifier.2", "classifier.4"],
    }
    for scheme, names in schemes.items():
        renamed = {}
        for old, new in zip([*convs, *fcs], names):
            weight = state[f"{old}.weight"]
            if scheme == "timm" and old == "classifier.0":
                weight = weight.unflatten(1, (-1, 7, 7))
            if scheme == "timm" and old == "classifier.3":
                weight = weight[:, :, None, None]
            renamed |= {f"{new}.weight": weight, f"{new}.bias": state[f"{old}.bias"]}
        yield scheme, renamed


@pytest.fixture
def vgg(monkeypatch):
    monkeypatch.setattr(vgg16, "SPEC", replace(vgg16.SPEC, build=SlimVGG))
    torch.manual_seed(0)
    return SlimVGG(5).state_dict()


@pytest.mark.parametrize("prefix", ["", "module.", "module.model."])
def test_vgg16_by_anybody_s_names(tmp_path, vgg, prefix):
    for scheme, theirs in others(vgg):
        torch.save(prefixed(prefix, theirs), tmp_path / "w.pth")
        network = networks.load("vgg16", str(tmp_path / "w.pth"), "paper")
        assert network.classes == 5
        assert all(torch.equal(v, vgg[k]) for k, v in network.module.state_dict().items()), scheme
        # timm's are torchvision's weights; Caffe's want Caffe's pixels, and so do a file's.
        form = "torchvision" if scheme == "timm" else "caffe"
        assert network.preprocessing.name == form, scheme


def test_torchvision_s_own_file_keeps_torchvision_s_preprocessing(tmp_path, vgg, monkeypatch):
    """Known by name and sha256; by its name alone it is anybody's."""
    path = tmp_path / "w.pth"
    torch.save(vgg, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]

    class Published:
        name, url = "IMAGENET1K_V1", f"https://host/vgg16-{digest}.pth"
        meta = {"categories": ["a", "b", "c", "d", "e"]}

    monkeypatch.setattr(vgg16, "SPEC", replace(vgg16.SPEC, weights=[Published]))
    path = path.rename(tmp_path / f"vgg16-{digest}.pth")
    assert networks.load("vgg16", str(path), "paper").preprocessing.name == "torchvision"
    assert networks.load("vgg16", str(path), "paper").class_names == ("a", "b", "c", "d", "e")
    assert networks.start("vgg16", str(path), 5, 0).preprocessing.name == "torchvision"
    (tmp_path / "other").mkdir()
    torch.save({**vgg, "classifier.6.bias": torch.ones(5)}, tmp_path / "other" / path.name)
    other = str(tmp_path / "other" / path.name)
    assert networks.load("vgg16", other, "paper").preprocessing.name == "caffe"
    monkeypatch.setattr(Published, "meta", {})  # such as VGG16's features alone
    with pytest.raises(ValueError, match=r"in a form of their own"):
        networks.load("vgg16", str(path), "paper")


@pytest.fixture
def largefov(monkeypatch):
    """DeepLab-LargeFOV an eighth as wide; fc6 and fc7 have a fourth of SlimVGG's units."""

    def build(classes=21):
        return LargeFOV(make_layers(WIDTHS), 64, 8, 12, classes)

    monkeypatch.setattr(deeplab_vgg16, "SPEC", replace(deeplab_vgg16.SPEC, build=build))


def begin(path, content, model="deeplab-vgg16", classes=21):
    torch.save(content, path)
    package = networks.SEGMENTERS if model.startswith("deeplab") else networks.MODELS
    return networks.start(model, str(path), classes, 0, package=package)


@pytest.mark.parametrize("prefix", ["", "module.model."])
def test_largefov_begins_with_vgg16_s_fc6_and_fc7_by_anybody_s_names(
    tmp_path, vgg, largefov, prefix
):
    fc6 = vgg["classifier.0.weight"].unflatten(1, (64, 7, 7))[::4, :, ::3, ::3]
    fc7 = vgg["classifier.3.weight"][::4, ::4, None, None]
    last = {"timm": "head.fc", "caffe": "fc8", "numbers": "38", "no dropouts": "classifier.4"}
    for scheme, theirs in [("torchvision", vgg), *others(vgg)]:
        start = begin(tmp_path / "w.pth", prefixed(prefix, theirs))
        head = start.module.head
        assert torch.equal(head.fc6.weight, fc6), scheme
        assert torch.equal(head.fc7.weight, fc7), scheme
        assert torch.equal(head.fc6.bias, vgg["classifier.0.bias"][::4]), scheme
        assert torch.equal(head.fc7.bias, vgg["classifier.3.bias"][::4]), scheme
        for name, value in start.module.features.state_dict().items():
            assert torch.equal(value, vgg[f"features.{name}"]), scheme
        assert start.new == ("head.score.weight", "head.score.bias")
        left = last.get(scheme, "classifier.6")
        assert start.unused == (f"{left}.weight", f"{left}.bias")
        assert start.preprocessing.name == ("torchvision" if scheme == "timm" else "caffe")


def test_largefov_s_own_fc6_and_fc7_are_taken_as_they_are(tmp_path, vgg, largefov):
    """vgg16_20M has them thinned out already."""
    theirs = dict(dict(others(vgg))["caffe"])
    theirs |= {"fc6.weight": torch.randn(8, 64, 3, 3), "fc6.bias": torch.randn(8)}
    theirs |= {"fc7.weight": torch.randn(8, 8, 1, 1), "fc7.bias": torch.randn(8)}
    theirs |= {"fc8.weight": torch.randn(1000, 8, 1, 1), "fc8.bias": torch.randn(1000)}
    numbered = [*(str(i) for i in vgg16.CONVOLUTIONS), "32", "35", "38"]
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in theirs))
    for names in (layers, numbered):
        new = dict(zip(layers, names))
        content = {
            f"{new[k.rpartition('.')[0]]}.{k.rpartition('.')[2]}": v for k, v in theirs.items()
        }
        start = begin(tmp_path / "w.pth", content)
        for name in ("fc6.weight", "fc6.bias", "fc7.weight", "fc7.bias"):
            assert torch.equal(start.module.head.state_dict()[name], theirs[name])
        assert start.new == ("head.score.weight", "head.score.bias")
        assert start.unused == (f"{names[-1]}.weight", f"{names[-1]}.bias")


def test_what_stays_new_and_what_is_not_used_is_told(tmp_path, vgg, largefov):
    convolutions = {k: v for k, v in vgg.items() if k.startswith("features.")}
    start = begin(tmp_path / "w.pth", convolutions)
    assert {name.rpartition(".")[0] for name in start.new} == {"head.fc6", "head.fc7", "head.score"}
    assert start.unused == ()
    again = begin(tmp_path / "w.pth", start.module.state_dict())
    assert (again.new, again.unused) == ((), ())
    fewer = begin(tmp_path / "w.pth", start.module.state_dict(), classes=11)
    assert fewer.new == fewer.unused == ("head.score.weight", "head.score.bias")


@pytest.mark.parametrize(
    ("tensors", "word"),
    [
        (
            {"classifier.0.weight": (16, 64 * 49), "classifier.3.weight": (16, 16)},
            r"head\.fc6\.weight is \(4, 64, 3, 3\), expected \(8, 64, 3, 3\)",
        ),
        (
            {"classifier.0.weight": (32, 64 * 16)},
            r"fc6 and fc7 are classifier\.0\.weight \(32, 1024\), classifier\.3\.weight \(32, 32\)",
        ),
        (
            {"classifier.3.weight": (16, 32)},
            r"fc6 and fc7 are classifier\.0\.weight .* classifier\.3\.weight \(16, 32\); accepted",
        ),
    ],
)
def test_fc6_and_fc7_that_fit_in_no_way_are_refused(tmp_path, vgg, largefov, tensors, word):
    wrong = {name: torch.ones(shape) for name, shape in tensors.items()}
    with pytest.raises(ValueError, match=rf"w\.pth: .*{word}") as error:
        begin(tmp_path / "w.pth", {**vgg, **wrong})
    assert "\n" not in str(error.value)


def test_the_classifier_in_cam_s_form_begins_with_anybody_s_convolutions(
    tmp_path, vgg, monkeypatch
):
    def build(classes=20):
        return vgg16_cam.CAMForm(make_layers(WIDTHS[:-1]), 64, classes)

    monkeypatch.setattr(vgg16_cam, "SPEC", replace(vgg16_cam.SPEC, build=build))
    for scheme, theirs in [("torchvision", vgg), *others(vgg)]:
        start = begin(tmp_path / "w.pth", theirs, "vgg16-cam", 20)
        for name, value in start.module.features.state_dict().items():
            assert torch.equal(value, vgg[f"features.{name}"]), scheme
        assert {name.rpartition(".")[0] for name in start.new} == {"conv6", "fc"}
        assert len(start.unused) == 6


class Trunk(nn.Module):
    """What the preprocessing of a residual network shows in."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8, momentum=None)


def trained(form):
    """The trunk's state once its statistics are those of smooth images in that form."""
    torch.manual_seed(0)
    trunk = Trunk()
    blobs = torch.rand(16, 3, 4, 4)
    images = nn.functional.interpolate(blobs, 64, mode="bicubic").clamp(0, 1) * 255
    nn.init.normal_(trunk.bn1.weight)
    trunk.bn1(trunk.conv1(form(images.byte())))
    return trunk.state_dict()


def test_a_residual_network_s_statistics_show_its_preprocessing():
    spec = deeplab_resnet101.SPEC
    caffe, own = trained(spec.form("caffe")), trained(spec.form("model"))
    assert (resnet50.origin(caffe), resnet50.origin(own)) == ("caffe", "model")
    merged = {**own, "bn1.running_var": torch.ones(8), "bn1.running_mean": torch.zeros(8)}
    assert resnet50.origin(merged) == "caffe"
    assert resnet50.origin(Trunk().state_dict()) == ""  # never trained
    assert resnet50.origin({}) == ""
    assert (resnet50.SPEC.origin(caffe), resnet50.SPEC.origin({})) == ("caffe", "model")


def test_the_preprocessing_of_a_residual_network_s_file(tmp_path, monkeypatch):
    """Caffe's weights get Caffe's pixels, torchvision's their own; what is asked for wins."""

    class Network(Trunk):
        def __init__(self, classes):
            super().__init__()
            self.head = nn.Sequential()
            self.head.score = nn.Conv2d(8, classes, 1)

        def forward(self, x):
            return self.head.score(self.bn1(self.conv1(x)))

    spec = replace(deeplab_resnet101.SPEC, build=Network)
    monkeypatch.setattr(deeplab_resnet101, "SPEC", spec)
    path, package = tmp_path / "resnet101.pth", networks.SEGMENTERS
    for name in ("caffe", "model"):
        torch.save(trained(spec.form(name)), path)
        form = "caffe" if name == "caffe" else "torchvision"
        for asked, expected in (("paper", form), ("model", "torchvision"), ("caffe", "caffe")):
            start = networks.start(
                "deeplab-resnet101", str(path), 21, 0, package=package, preprocessing=asked
            )
            assert start.preprocessing.name == expected
    with pytest.raises(ValueError, match="'caffe', but mini-resnet has no such form"):
        networks.start("mini-resnet", "none", 3, 0, preprocessing="caffe")
