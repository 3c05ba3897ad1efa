import sys

import pytest
import torch
import torchvision

from camx.camcore import anatomy, networks, zoos
from camx.camcore.layers import Layout

timm = pytest.importorskip("timm")


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    """Empty caches, and no network."""
    import huggingface_hub

    def refuse(*_, **__):
        raise AssertionError("something was fetched")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


def saved(module, path):
    torch.save(module.state_dict(), path)
    return str(path)


def test_a_network_of_torchvision_with_its_weights_file(tmp_path):
    torch.manual_seed(0)
    module = torchvision.models.squeezenet1_1(num_classes=1000).eval()
    network = networks.load("torchvision:squeezenet1_1", saved(module, tmp_path / "w.pth"))
    assert network.name == "torchvision:squeezenet1_1"
    assert (network.input_size, network.classes) == (224, 1000)
    assert network.class_names[281] == "tabby"
    assert network.preprocessing.mean == (0.485, 0.456, 0.406)
    assert list(network.layers) == ["S4", "S3", "S2", "S1"]
    images = torch.rand(1, 3, 64, 64)
    assert torch.equal(network.module(images), module(images))
    assert network.layer("features.3.squeeze").activation == "features.3.squeeze"
    assert network.deepest_first({"features.3", "S4", "features.9"}) == [
        "S4", "features.9", "features.3",
    ]  # fmt: skip
    assert network.table()["S3"] == {
        "module": "features.7", "next": "features.8", "layout": "channels first",
    }  # fmt: skip
    with pytest.raises(
        ValueError, match=r"'classifier\.1' of torchvision:squeezenet1_1 is no layer"
    ):
        network.layer("classifier.1")
    with pytest.raises(ValueError, match=r"unknown layer 'features\.99'.*or a module's path"):
        network.layer("features.99")


@pytest.mark.parametrize(
    ("name", "weights", "size", "given"),
    [
        ("torchvision:resnet18", None, 224, {}),
        ("torchvision:inception_v3", None, 299, {"init_weights": False, "transform_input": True}),
        ("torchvision:vit_b_16", None, 224, {"image_size": 224}),
        ("torchvision:vit_b_16", "IMAGENET1K_SWAG_E2E_V1", 384, {"image_size": 384}),
        ("torchvision:swin_v2_t", None, 256, {}),
    ],
)
def test_what_torchvision_publishes(name, weights, size, given):
    spec = networks.declared(name, networks.MODELS, weights)[1]
    assert spec.input_size == size
    assert spec.build.keywords == given


def test_what_timm_publishes():
    spec = networks.spec("timm:inception_v4")
    assert (spec.input_size, spec.mean, spec.std) == (299, (0.5,) * 3, (0.5,) * 3)
    assert spec.head == "last_linear"


def test_buffers_that_no_file_holds_are_made(tmp_path):
    """Swin's relative positions are computed when it is built, and not saved."""
    torch.manual_seed(0)
    module = timm.create_model("swin_tiny_patch4_window7_224", num_classes=5, depths=(1, 1, 1, 1))
    path = tmp_path / "swin.py"
    path.write_text(
        "import timm\nINPUT_SIZE, MEAN, STD = 224, (0.5,) * 3, (0.5,) * 3\n"
        "def build(num_classes):\n    return timm.create_model('swin_tiny_patch4_window7_224', "
        "num_classes=num_classes, depths=(1, 1, 1, 1))\n"
    )
    network = networks.load(str(path), saved(module, tmp_path / "w.pth"))
    images = torch.rand(1, 3, 224, 224)
    assert torch.equal(network.module(images), module.eval()(images))
    assert network.layers["S1"].layout == Layout("nhwc")


def test_nothing_is_downloaded_unasked(no_hub):
    with pytest.raises(FileNotFoundError, match=r"timm:resnet18's weights .*--download fetches"):
        networks.load("timm:resnet18")
    with pytest.raises(FileNotFoundError, match=r"torchvision:resnet18's weights.*--download"):
        networks.load("torchvision:resnet18")


def test_weights_in_the_hub_s_cache_are_used(no_hub, tmp_path, monkeypatch):
    import huggingface_hub

    torch.manual_seed(0)
    path = saved(timm.create_model("mobilenetv3_small_050"), tmp_path / "w.bin")
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: path)
    network = networks.load("timm:mobilenetv3_small_050")
    assert network.weights == "timm:mobilenetv3_small_050 lamb_in1k"
    assert len(network.class_names) == 1000


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("torchvision:resnet51", r"unknown model 'torchvision:resnet51'.*Did you mean 'resnet50'"),
        ("torchvision:fcn_resnet50", "unknown model .*classifiers"),
        ("timm:resnet5x", r"unknown model 'timm:resnet5x'.*Did you mean 'resnet50'"),
        ("timm:resnet50.no_such_tag", "unknown model"),
    ],
)
def test_unknown_names_are_guessed(name, told):
    with pytest.raises(ValueError, match=told) as error:
        networks.load(name)
    assert "\n" not in str(error.value)


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ValueError, match=r"'timm:resnet18' needs the package timm: pip install"):
        zoos.load("timm:resnet18")


def test_other_names_are_of_no_zoo():
    assert zoos.reference("vgg16") == ("", "")
    assert zoos.reference("package.module:build") == ("", "")
    assert zoos.reference("timm:resnet50") == ("timm", "resnet50")


@pytest.mark.parametrize("name", ["torchvision:regnet_y_400mf", "timm:vit_tiny_patch16_224"])
def test_the_anatomy_needs_no_weights(no_hub, name):
    network = anatomy.of(name)
    deepest = next(iter(network.layers.values()))
    assert network.places[deepest.name].path == deepest.activation
    shapes = {"trunk_output": (440, 7, 7), "blocks.11.norm1": (197, 192)}
    assert network.shapes[deepest.activation] == shapes[deepest.activation]


def test_weights_under_their_authors_names_are_timm_s(tmp_path):
    """ConvNeXt's as its authors publish them, which timm knows to rename."""
    torch.manual_seed(0)
    module = timm.create_model("convnext_atto").eval()
    theirs = {
        "stem.": "downsample_layers.0.", ".downsample.": ".down.", ".blocks.": ".",
        "conv_dw": "dwconv", "mlp.fc1": "pwconv1", "mlp.fc2": "pwconv2", "head.norm": "norm",
        "head.fc": "head",
    }  # fmt: skip
    state = {}
    for name, tensor in module.state_dict().items():
        for ours, other in theirs.items():
            name = name.replace(ours, other)
        if ".down." in name:
            stage, rest = name.removeprefix("stages.").split(".down.")
            name = f"downsample_layers.{stage}.{rest}"
        state[name] = tensor
    torch.save(state, tmp_path / "w.pth")
    network = networks.load("timm:convnext_atto", str(tmp_path / "w.pth"))
    images = torch.rand(1, 3, 64, 64)
    assert torch.equal(network.module(images), module(images))


def test_weights_that_timm_does_not_know_are_named_with_the_file(tmp_path):
    torch.save({"some.weight": torch.ones(3)}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"w\.pth: .*(not timm's|missing)") as error:
        networks.load("timm:convnext_atto", str(tmp_path / "w.pth"))
    assert "\n" not in str(error.value)


def test_what_is_fetched_by_address_is_not_executed(no_hub, tmp_path, monkeypatch):
    """The file is saved as it is: whoever reads it refuses other objects than tensors."""
    fetched = []

    def save(url, destination):
        fetched.append(url)
        torch.save({"w": torch.ones(1)}, destination)

    monkeypatch.setattr(torch.hub, "download_url_to_file", save)
    published = timm.models.get_pretrained_cfg("resnet18")
    published.hf_hub_id, published.url = None, "https://example.org/weights/a.pth"
    path, _ = zoos._published("timm:resnet18", published, True, "--weights")
    assert path.is_file()
    assert zoos._published("timm:resnet18", published, False, "--weights")[0] == path
    assert fetched == ["https://example.org/weights/a.pth"]
