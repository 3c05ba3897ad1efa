"""What a network's file declares, and the head of one that does not name it."""

import pytest
import torch
from torch import nn

from camx.camcore import networks, plugins
from camx.camcore.spec import Spec
from camx.camcore.taps import tap

FILE = """
import torch
from camx.camcore.spec import Spec
from torch import nn

INPUT_SIZE, MEAN, STD = 16, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
LAYERS = {{"last": ("trunk", None)}}

class Mine(nn.Module):
    def __init__(self, classes):
        super().__init__()
        {modules}

    def forward(self, x):
        x = self.trunk(x)
        return {logits}

def build(classes=1000):
    return Mine(classes)
"""
TRUNK = "self.trunk = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())"
NETWORKS = {
    "head first": (f"self.fc = nn.Linear(8, classes); {TRUNK}", "self.fc(x.mean((2, 3)))"),
    "batch norm after": (
        f"{TRUNK}; self.fc = nn.Linear(8, classes); self.after = nn.BatchNorm1d(classes)",
        "self.after(self.fc(x.mean((2, 3))))",
    ),
    "1x1 convolution": (
        f"self.score = nn.Conv2d(8, classes, 1, bias=False); {TRUNK}",
        "self.score(x).mean((2, 3))",
    ),
    "transposed": (
        f"self.prototypes = nn.Parameter(torch.randn(8, classes)); {TRUNK}",
        "x.mean((2, 3)) @ self.prototypes",
    ),
}


def write(folder, modules, logits, more=""):
    path = folder / "mine.py"
    path.write_text(FILE.format(modules=modules, logits=logits) + more)
    return str(path)


@pytest.fixture(params=NETWORKS)
def written(request, tmp_path):
    """A network's file, its weights' file for five classes, and those weights."""
    path = write(tmp_path, *NETWORKS[request.param])
    torch.manual_seed(0)
    state = networks.spec(path).build(5).state_dict()
    torch.save(state, tmp_path / "w.pth")
    return path, str(tmp_path / "w.pth"), state


def test_any_head_loads_with_the_weights_number_of_classes(written):
    path, weights, state = written
    network = networks.load(path, weights)
    assert (network.name, network.classes) == ("mine", 5)
    assert network.module(torch.rand(2, 3, 16, 16)).shape == (2, 5)
    loaded = network.module.state_dict()
    assert all(torch.equal(loaded[k], v) for k, v in state.items())


def test_training_starts_with_a_new_head(written):
    path, weights, state = written
    for classes in (5, 3):
        start = networks.start(path, weights, classes, seed=1)
        assert start.classes == classes
        assert start.module.eval()(torch.rand(2, 3, 16, 16)).shape == (2, classes)
        begun = start.module.state_dict()
        kept = {k for k, v in state.items() if torch.equal(begun[k], v)}
        trunk = {k for k in state if k.startswith("trunk")}
        assert trunk <= kept
        assert kept == set(state) if classes == 5 else len(kept) <= len(trunk) + 1  # a counter
    torch.manual_seed(1)
    drawn = networks.spec(path).build(3).state_dict()
    assert all(torch.equal(begun[k], drawn[k]) for k in set(state) - trunk)


def test_the_head_alone_learns_ten_times_as_fast(written):
    start = networks.start(written[0], "none", 3, seed=0)
    names = {id(p): name for name, p in start.module.named_parameters()}
    rates = {names[id(p)]: g["lr"] for g in start.groups(1.0) for p in g["params"]}
    assert rates.keys() == set(names.values())
    assert all((rate >= 10) == (not name.startswith("trunk")) for name, rate in rates.items())


def test_cam_finds_a_head_that_is_registered_first(tmp_path):
    torch.manual_seed(0)
    path = write(tmp_path, NETWORKS["head first"][0] + "; self.other = nn.Linear(8, classes)",
                 NETWORKS["head first"][1])  # fmt: skip
    network = networks.spec(path).build(4)
    taps = tap(
        network, torch.rand(2, 3, 16, 16), torch.tensor([0, 3]), [networks.Layer("x", "trunk")]
    )
    assert torch.equal(taps["x"].head, network.fc.weight)


def test_a_network_with_classes_of_its_own_keeps_them(tmp_path):
    path = write(tmp_path, f"self.fc = nn.Linear(8, 6); {TRUNK}", "self.fc(x.mean((2, 3)))")
    torch.save(networks.spec(path).build().state_dict(), tmp_path / "w.pth")
    assert networks.load(path, str(tmp_path / "w.pth")).classes == 6
    for init in ("none", str(tmp_path / "w.pth")):
        assert networks.start(path, init, 6, seed=0).classes == 6
        with pytest.raises(ValueError, match=r"mine ignores the number of classes.*here 4"):
            networks.start(path, init, 4, seed=0)


def test_constants_and_a_declared_spec_say_the_same(tmp_path):
    parts = NETWORKS["head first"]
    constants = networks.spec(write(tmp_path, *parts, 'BACKBONE = ("trunk.",)\nHEAD = "fc"\n'))
    assert (constants.input_size, constants.head, constants.backbone) == (16, "fc", ("trunk.",))
    assert constants.layers == {"last": ("trunk", None)}
    said = "SPEC = Spec(build=Mine, input_size=8, mean=MEAN, std=STD, shipped='w.safetensors')\n"
    declared = networks.spec(write(tmp_path, *parts, said))
    assert (declared.input_size, declared.layers) == (8, {})
    assert declared.shipped == "w.safetensors"
    assert isinstance(declared.build(2), nn.Module)


@pytest.mark.parametrize("missing", ["INPUT_SIZE", "MEAN", "STD", "build"])
def test_what_a_file_lacks_is_said(tmp_path, missing):
    path = write(tmp_path, *NETWORKS["head first"], f"del {missing}\n")
    with pytest.raises(ValueError, match=rf"mine\.py: has no {missing}; expected ") as error:
        networks.spec(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("MEAN = (0.5, 0.5)", r"MEAN is \(0\.5, 0\.5\).*accepted: three numbers"),
        ("MEAN = 0.5", r"MEAN is 0\.5.*accepted: three numbers"),
        ("MEAN = (0.5, None, 0.5)", r"MEAN is .*accepted: three numbers"),
        ("STD = (1, 0, 1)", r"STD is \(1, 0, 1\).*accepted: three numbers above 0"),
        ("STD = (1, float('nan'), 1)", r"STD is .*accepted: three numbers above 0"),
        ("INPUT_SIZE = '224'", r"INPUT_SIZE is '224'.*accepted: a whole number from 1"),
        ("INPUT_SIZE = 0", r"INPUT_SIZE is 0.*accepted: a whole number from 1"),
        ("INPUT_SIZE = (16, 16)", r"INPUT_SIZE is \(16, 16\).*accepted: a whole number"),
        ("LAYERS = ['trunk']", r"LAYERS is \['trunk'\].*accepted: \{\"S5\""),
        ("LAYERS = {'last': 'trunk'}", r"LAYERS is .*accepted: \{\"S5\""),
        ("LAYERS = {'last': ('trunk',)}", r"LAYERS is .*accepted: \{\"S5\""),
        ("LAYERS = {'last': ('trunks', None)}", r"layer 'last' is at 'trunks'.*top are: fc, trunk"),
        ("build = 3", r"build is 3.*accepted: a function build\(classes\)"),
        ("HEAD = 'head'", r"HEAD is 'head', where the network has no weight"),
        ("SPEC = Spec(build=Mine, input_size=8, mean=(1, 2), std=STD)", r"mean|MEAN is \(1, 2\)"),
    ],
)
def test_constants_of_another_kind_are_named_with_the_file(tmp_path, line, word):
    torch.manual_seed(0)
    good = write(tmp_path, *NETWORKS["head first"])
    torch.save(networks.spec(good).build(5).state_dict(), tmp_path / "w.pth")
    path = write(tmp_path, *NETWORKS["head first"], f"{line}\n")
    with pytest.raises(ValueError, match=rf"mine\.py: .*{word}") as error:
        networks.load(path, str(tmp_path / "w.pth"))
    assert "\n" not in str(error.value)


def test_a_module_and_its_function_are_named_after_the_module(tmp_path, monkeypatch):
    more = "def small(classes=1000):\n    return Mine(classes)\n"
    write(tmp_path, *NETWORKS["head first"], more)
    (tmp_path / "mine.py").rename(tmp_path / "their_networks.py")
    monkeypatch.syspath_prepend(tmp_path)
    for name, expected in (("build", "their-networks"), ("small", "small")):
        plugin = plugins.load(networks.MODELS, None, f"their_networks:{name}")
        assert plugin.name == expected
        assert Spec.of(plugin).build is getattr(plugin.module, name)


@pytest.mark.parametrize("line", ["LAYERS = {}", "del LAYERS"])
def test_a_network_whose_file_names_no_layers_has_its_stages(tmp_path, line):
    torch.manual_seed(0)
    path = write(tmp_path, *NETWORKS["head first"], f"{line}\n")
    torch.save(networks.spec(path).build(5).state_dict(), tmp_path / "w.pth")
    network = networks.load(path, str(tmp_path / "w.pth"))
    assert {name: layer.activation for name, layer in network.layers.items()} == {"S1": "trunk"}
