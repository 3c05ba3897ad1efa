import hashlib
import pickle
from dataclasses import replace

import pytest
import safetensors.torch
import torch

from camx.camcore import networks, plugins
from camx.camcore.models import mini_resnet, mini_vgg
from camx.camcore.taps import tap


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "w.pth"
    torch.save(mini_resnet.build(7).state_dict(), path)
    return path


def test_pth_and_safetensors_load_alike_with_their_number_of_classes(weights, tmp_path):
    state = torch.load(weights, weights_only=True)
    safetensors.torch.save_file(state, tmp_path / "w.safetensors")
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}},
        tmp_path / "checkpoint.pt",
    )
    for name in ("w.pth", "w.safetensors", "checkpoint.pt"):
        network = networks.load("mini-resnet", str(tmp_path / name))
        assert network.classes == 7
        assert network.sha256 == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        assert not any(p.requires_grad for p in network.module.parameters())
        for key, value in network.module.state_dict().items():
            assert torch.equal(value, state[key])


def test_shipped_weights_have_a_true_card():
    import json
    from importlib import resources

    for model in ("mini-vgg", "mini-resnet"):
        network = networks.load(model)
        card = json.loads(
            (resources.files("camx.configs") / "weights" / f"{model}.json").read_text()
        )
        assert card["sha256"] == network.sha256
        assert 80 <= card["top1_percent"] <= 97


@pytest.mark.parametrize("name", plugins.names("camx.camcore.models"))
def test_every_model_s_layers_can_be_tapped(name, tmp_path):
    spec = networks.spec(name)
    torch.manual_seed(0)
    module = spec.build(3)
    layers = [networks.Layer(n, *paths) for n, paths in spec.layers.items()]
    images = torch.randn(1, 3, spec.input_size, spec.input_size)
    taps = tap(module, images, torch.tensor([2]), layers, gradient="next")
    # conv6 is CAM's and pool6 ACoL's, which stand last.
    sides = [t.acts.shape[-1] for name, t in taps.items() if name not in ("conv6", "pool6")]
    assert sides == sorted(sides)
    assert all(t.grads.shape == t.acts.shape and t.logits.shape == (1, 3) for t in taps.values())


def test_the_slim_vgg_has_vgg16_s_modules():
    from camx.camcore.models import vgg16

    with torch.device("meta"):
        wide, slim = vgg16.build(), mini_vgg.build()
    assert list(wide.state_dict()) == list(slim.state_dict())


def test_caffe_form_for_files_only(tmp_path, monkeypatch):
    """VGG16's weights from a file get Caffe's form under `paper`; the miniature's keep theirs."""
    from torchvision.models import vgg

    from camx.camcore.models import vgg16

    def slim(classes=1000):
        return torch.nn.Sequential(
            vgg.make_layers([8, "M"]), torch.nn.Flatten(), torch.nn.Linear(8, classes)
        )

    monkeypatch.setattr(vgg16, "SPEC", replace(vgg16.SPEC, build=slim, head="2"))
    torch.save(slim(5).state_dict(), tmp_path / "caffe.pth")
    form = networks.load("vgg16", str(tmp_path / "caffe.pth"), "paper").preprocessing
    pixel = torch.tensor([[[[123]], [[117]], [[104]]]], dtype=torch.uint8)
    expected = torch.tensor([104 - 104.00699, 117 - 116.66877, 123 - 122.67892])
    assert torch.allclose(form(pixel).flatten(), expected, atol=1e-4)
    assert (
        networks.load("vgg16", str(tmp_path / "caffe.pth"), "model").preprocessing.name
        == "torchvision"
    )
    assert networks.load("mini-vgg", preprocessing="paper").preprocessing.name == "torchvision"


def test_preprocessing_is_torchvision_s():
    from torchvision.transforms.functional import normalize

    form = networks.load("mini-vgg").preprocessing
    images = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    assert torch.allclose(
        form(images), normalize(images.float() / 255, list(form.mean), list(form.std)), atol=1e-6
    )


class Evil:
    def __reduce__(self):
        return print, ("executed",)


def test_bad_weights_are_one_clear_line(weights, tmp_path, capsys):
    def refused(path, word, model="mini-resnet"):
        with pytest.raises((ValueError, FileNotFoundError), match=word) as error:
            networks.load(model, str(path))
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)

    refused(tmp_path / "none.pth", "no such weights file")
    refused(weights, "do not fit mini-vgg", "mini-vgg")
    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"w": Evil()}))
    refused(tmp_path / "evil.pth", "not plain weights.*nothing was executed")
    refused(tmp_path, "a folder, not a weights file")
    assert "executed" not in capsys.readouterr().out
    (tmp_path / "text.pth").write_text("hello")
    refused(tmp_path / "text.pth", "not plain weights.*damaged")
    torch.save({0: torch.ones(3)}, tmp_path / "numbers.pth")
    refused(tmp_path / "numbers.pth", "names to tensors")
    (tmp_path / "text.safetensors").write_text("hello")
    refused(tmp_path / "text.safetensors", "not plain weights")
    (tmp_path / "empty.pth").write_bytes(b"")
    refused(tmp_path / "empty.pth", "not plain weights")
    torch.save(torch.ones(3), tmp_path / "tensor.pth")
    refused(tmp_path / "tensor.pth", "state dict")
    state = torch.load(weights, weights_only=True)
    torch.save({**state, "conv1.weight": torch.ones(16, 3, 5, 5)}, tmp_path / "shape.pth")
    refused(tmp_path / "shape.pth", r"conv1\.weight is \(16, 3, 5, 5\), expected \(16, 3, 3, 3\)")
    torch.save({**state, "fc.bias": torch.full((7,), torch.nan)}, tmp_path / "nan.pth")
    refused(tmp_path / "nan.pth", "not finite")


def test_named_weights_must_be_cached(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(FileNotFoundError, match="--download"):
        networks.load("vgg16")
    with pytest.raises(ValueError, match="accepted: IMAGENET1K_V1"):
        networks.load("vgg16", "IMAGENET1K_V9")
    with pytest.raises(ValueError, match="unknown layer 'S9' of mini-vgg; known: S5"):
        networks.load("mini-vgg").layer("S9")


def test_named_weights_load_from_torchvision_s_cache(tmp_path, monkeypatch):
    from torchvision.models import ResNet50_Weights, resnet50

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    torch.manual_seed(1)
    name = ResNet50_Weights.IMAGENET1K_V1.url.rpartition("/")[2]
    state = resnet50().state_dict()
    torch.save(
        {k: v for k, v in state.items() if "num_batches" not in k}, tmp_path / "checkpoints" / name
    )
    with pytest.raises(ValueError, match=rf"{name}: its sha256 begins with .*, not 0676ba61 as"):
        networks.load("resnet50", "IMAGENET1K_V1", "paper")
    monkeypatch.setattr("camx.camcore.weights.sha256", lambda path: f"0676ba61{'0' * 56}")
    network = networks.load("resnet50", "IMAGENET1K_V1", "paper")
    assert network.class_names[:1] == ("tench",)
    assert network.preprocessing.name == "torchvision"
    assert torch.equal(network.module.fc.weight, state["fc.weight"])
