"""Networks are built without weights, whatever builds them, and nothing is fetched."""

import pytest
import torch

from camx.camcore import networks
from camx.camcore.building import construct, skeleton

HEADER = """
INPUT_SIZE, MEAN, STD = 64, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
LAYERS = {"last": ("features", None)}
"""


@pytest.fixture(autouse=True)
def no_network(tmp_path, monkeypatch):
    """An empty cache, and every attempt to fetch something recorded."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    asked = []

    def fetch(url, *_args, **_kwargs):
        asked.append(url)
        raise AssertionError(f"{url} was fetched")

    monkeypatch.setattr(torch.hub, "urlopen", fetch)
    return asked


def write(path, text):
    path.write_text(HEADER + text)
    return str(path)


BUILDERS = {
    "torchvision": "from torchvision.models import densenet121 as build\n",
    "timm": "from torchvision.models import densenet121\n"
    "def build(pretrained=False, **kwargs):\n"
    "    return densenet121(weights='DEFAULT' if pretrained else None, **kwargs)\n",
    "by name": "from torchvision.models import densenet121\n"
    "def build(weights='DEFAULT', classes=1000):\n"
    "    return densenet121(weights=weights, num_classes=classes)\n",
}


@pytest.mark.parametrize("name", ["torchvision", "timm", "by name"])
def test_a_builder_is_told_the_classes_and_that_no_weights_are_wanted(tmp_path, no_network, name):
    path = write(tmp_path / "mine.py", BUILDERS[name])
    spec = networks.spec(path)
    assert skeleton(spec.build, 7).classifier.out_features == 7
    torch.save(construct(spec.build, 5).state_dict(), tmp_path / "w.pth")
    network = networks.load(path, str(tmp_path / "w.pth"))
    assert (network.classes, no_network) == (5, [])
    assert networks.start(path, str(tmp_path / "w.pth"), 3, 0).module.classifier.out_features == 3


def test_torchvision_s_builder_by_its_name_fetches_nothing(no_network):
    for name in ("torchvision.models:densenet121", "torchvision.models.densenet:densenet121"):
        with pytest.raises(ValueError, match=r"has no INPUT_SIZE; expected"):
            networks.load(name, "x.pth")
    build = __import__("torchvision.models", fromlist=["_"]).segmentation.fcn_resnet50
    assert skeleton(build, 4).classifier[-1].out_channels == 4  # its backbone would be fetched
    assert no_network == []


def test_a_build_that_fetches_is_refused_unless_download_is_said(tmp_path, no_network):
    text = (
        "from torchvision.models import resnet18\n"
        "def build(classes):\n    return resnet18(weights='DEFAULT')\n"
    )
    path = write(tmp_path / "mine.py", text)
    torch.save({"w": torch.ones(1)}, tmp_path / "w.pth")
    with pytest.raises(
        ValueError, match=r"mine\.py: build\(1000\) fails.*resnet18-f37072fd.*--dow"
    ):
        networks.load(path, str(tmp_path / "w.pth"))
    assert no_network == []
    with pytest.raises(ValueError, match="was fetched"):
        networks.load(path, str(tmp_path / "w.pth"), download=True)
    assert len(no_network) == 1


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("def build():\n    pass\n", r"build\(1000\) fails: TypeError: build\(\) takes 0"),
        ("def build(classes):\n    return 1 / 0\n", r"build\(1000\) fails: ZeroDivisionError"),
        ("def build(classes):\n    pass\n", r"build\(1000\) gives a NoneType; expected a torch"),
    ],
)
def test_a_build_that_fails_is_named_with_its_file(tmp_path, text, word):
    torch.save({"w": torch.ones(1)}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=rf"mine\.py: {word}"):
        networks.load(write(tmp_path / "mine.py", text), str(tmp_path / "w.pth"))
