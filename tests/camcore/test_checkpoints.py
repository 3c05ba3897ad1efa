"""Files that people take for weights: what they are is said, and what converts them does."""

import argparse
import pickle
import random
import re

import numpy as np
import pytest
import safetensors.torch
import torch

from camx.camcore import checkpoints, networks
from camx.camcore.models import mini_resnet

HTML = b"\n<!DOCTYPE html><html>Google Drive: too many downloads</html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 553433881\n"
OTHERS = {
    "pointer.pth": (POINTER, "a pointer of Git LFS.*git lfs pull"),
    "page.pth": (HTML, "a page of the web"),
    "page.safetensors": (b"<HTML><body>404", "a page of the web"),
    "denied.pth": (b"\xef\xbb\xbf<?xml version='1.0'?><Error>", "a page of the web"),
    "vgg.caffemodel": (b"\n\x05VGG16\xa2\x06\x10abc" + bytes(50), "Caffe's own weights"),
    "renamed.pth": (b"\n\x05VGG16\xa2\x06\x10abc" + bytes(50), "Caffe's own weights"),
    "old.pth": (b"\n\x11VGG_ILSVRC_16_lay\x12\x90abc" + bytes(50), "Caffe's own weights"),
    "keras.h5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5"),
    "graph.onnx": (b"\x08\x07\x12\x07pytorch" + bytes(50), "ONNX"),
    "packed.pth": (b"\x1f\x8b\x08" + bytes(50), "gzip; unpack"),
    "tar.pth.tar": (bytes(257) + b"ustar" + bytes(250), "a tar archive; unpack"),
    "empty.pth": (b"", "it is empty"),
    "text.bin": (b"hello", "a text that begins with 'hello'"),
    "cut.ckpt": (b"PK\x03\x04" + bytes(50), "cut short at 54 bytes"),
    "bits.pth": (b"\xfd\x00\x17\x33" * 99, "damaged"),
}


class Evil:
    def __reduce__(self):
        return print, ("executed",)


@pytest.fixture
def module():
    torch.manual_seed(0)
    return mini_resnet.build(7)


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_that_is_something_else_is_called_what_it_is(tmp_path, name):
    content, word = OTHERS[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}: not plain weights.*{word}") as error:
        networks.load("mini-resnet", str(tmp_path / name))
    assert "\n" not in str(error.value)


def other_objects(module):
    """Checkpoints that hold other objects, each with the weights of `module`, and how saved."""
    state = module.state_dict()
    arrays = {key: value.numpy() for key, value in state.items()}
    args = argparse.Namespace(model="resnet")
    return {
        "args": ({"state_dict": state, "args": args, "best": np.float64(3)}, torch.save),
        "whole": (module, torch.save),
        "nested module": ({"epoch": 3, "model": module}, torch.save),
        "flat": ({**state, "best": np.float64(3)}, torch.save),
        "legacy": ({"model": state, "args": args}, "legacy"),
        "arrays": (arrays, "pickle"),
        "nested arrays": ({"model": arrays, "__author__": "somebody"}, "pickle"),
        "whole, by pickle": (module, "pickle"),
        "state, by pickle": (state, "pickle"),
    }


def save(content, how, path):
    if how == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how != "legacy")


@pytest.mark.parametrize("name", list(other_objects(torch.nn.Identity())))
def test_the_two_lines_convert_a_checkpoint_with_other_objects(tmp_path, module, name):
    content, how = other_objects(module)[name]
    path = tmp_path / "checkpoint.pth.tar"
    save(content, how, path)
    with pytest.raises(ValueError, match=r"other objects than tensors.*nothing was executed") as e:
        networks.load("mini-resnet", str(path))
    lines = re.findall(r"`([^`]+)`", str(e.value))
    assert len(lines) == 2
    scope = {}
    for line in lines:
        exec(line, scope)
    network = networks.load("mini-resnet", str(tmp_path / "checkpoint-plain.pth"))
    assert torch.equal(network.module.fc.weight, module.fc.weight)


def test_numpy_s_archive_is_converted_by_its_two_lines(tmp_path, module):
    np.savez(tmp_path / "w.npz", **{k: v.numpy() for k, v in module.state_dict().items()})
    with pytest.raises(ValueError, match="NumPy's arrays") as error:
        networks.load("mini-resnet", str(tmp_path / "w.npz"))
    scope = {}
    for line in re.findall(r"`([^`]+)`", str(error.value)):
        exec(line, scope)
    network = networks.load("mini-resnet", str(tmp_path / "w-plain.pth"))
    assert torch.equal(network.module.fc.weight, module.fc.weight)


def test_a_torchscript_archive_is_called_so(tmp_path):
    with torch.jit.optimized_execution(False):
        torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)), tmp_path / "t.pt")
    with pytest.raises(ValueError, match=r"a TorchScript archive.*torch\.jit\.load"):
        networks.load("mini-resnet", str(tmp_path / "t.pt"))


@pytest.mark.parametrize("how", ["pickle", "zip", "legacy"])
def test_nothing_in_a_pickle_is_executed(tmp_path, capsys, how):
    save({"state_dict": {"w": Evil()}}, how, tmp_path / "evil.pkl")
    with pytest.raises(ValueError, match="nothing was executed"):
        networks.load("mini-resnet", str(tmp_path / "evil.pkl"))
    assert "executed" not in capsys.readouterr().out


def test_a_file_is_read_by_what_it_holds(tmp_path, module):
    state = module.state_dict()
    names = ("a.pth", "a.safetensors", "a.pth.tar", "a.ckpt", "a.pkl", "a.bin", "a")
    for name in names:
        torch.save(state, tmp_path / name)
        assert networks.load("mini-resnet", str(tmp_path / name)).classes == 7
    for name in names:
        safetensors.torch.save_file(state, tmp_path / name)
        assert networks.load("mini-resnet", str(tmp_path / name)).classes == 7


@pytest.mark.parametrize("name", ["nowhere/x.pth.tar", "x.pkl", "nowhere/x", "x.ckpt", "no.bin"])
@pytest.mark.parametrize("model", ["mini-resnet", "resnet18"])
def test_no_such_file(tmp_path, monkeypatch, model, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=rf"^{name}: no such weights file$"):
        networks.load(model, name)


def test_another_network_s_enumeration_is_refused():
    with pytest.raises(ValueError, match=r"'ResNet50_Weights.DEFAULT': they are not resnet18's"):
        networks.load("resnet18", "ResNet50_Weights.DEFAULT")


@pytest.mark.parametrize("form", ["pth", "safetensors"])
def test_no_damage_is_more_than_a_line(tmp_path, form):
    """Bits of it flipped, cut, or filled: refused by name, or read as something else."""
    state, path = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}, tmp_path / "a"
    if form == "pth":
        torch.save(state, path)
    else:
        path.write_bytes(safetensors.torch.save(state))
    whole, rng, told = path.read_bytes(), random.Random(0), []
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(data[: rng.choice((len(data), rng.randrange(len(data))))]))
        try:
            checkpoints.read(path)
        except ValueError as error:
            told.append(str(error))
    assert len(told) > 100
    assert all(str(path) in line and "\n" not in line for line in told)
