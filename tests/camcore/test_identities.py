"""What counts as the same map, and who is said to draw it."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from camx.camcore import identities, maps
from camx.camcore.identities import Drawn, difference, groups, matrix, on_grid, readings, sentences
from camx.camcore.layers import Layer
from camx.camcore.taps import tap


def row(*values):
    return torch.tensor([[values]], dtype=torch.float)


def oracle(one, other):
    """The largest difference, a place at a time."""
    worst = []
    for a, b in zip(one.tolist(), other.tolist()):
        a, b = ([max(0.0, v) for line in m for v in line] for m in (a, b))
        if max(a) == max(b) == 0:
            continue
        a, b = ([v / max(m) if max(m) else 0.0 for v in m] for m in (a, b))
        worst.append(max(abs(x - y) for x, y in zip(a, b)))
    return max(worst)


@pytest.mark.parametrize("seed", range(5))
def test_difference(seed):
    torch.manual_seed(seed)
    one, other = torch.randn(4, 3, 2), torch.randn(4, 3, 2)
    one[1], one[2], other[2], other[3] = 0, -1, 0, -2
    assert difference(one, other) == pytest.approx(oracle(one, other), abs=1e-12)


def test_difference_knows_no_scale_and_nothing_negative():
    assert difference(row(1, 2), row(1e-12, 2e-12)) == pytest.approx(0, abs=1e-6)
    assert difference(row(-5, 2), row(0, 7)) == 0
    assert difference(row(0, 0), row(0, 7)) == 1
    assert math.isnan(difference(row(0, -1), row(0, 0)))
    both = torch.cat([row(0, 0), row(3, 4)]), torch.cat([row(-1, 0), row(4, 4)])
    assert difference(*both) == 0.25


def test_matrix_groups_and_sentences():
    drawn = {"a": row(1, 2), "b": row(5, 1), "c": row(2, 4), "d": row(2, 4.0003), "e": row(0, 0)}
    drawn["f"] = row(0, -1)
    pairs = matrix(drawn)
    assert len(pairs) == 36
    assert pairs["a", "b"] == pairs["b", "a"] == pytest.approx(0.8)
    assert pairs["c", "c"] == 0
    assert groups(list(drawn), pairs) == [("a", "c", "d")]
    # A group is of those that all differ by 1e-4 at most, that itself included.
    near = {**dict.fromkeys([("b", "a"), ("c", "b")], 1e-4), ("c", "a"): 1.1e-4}
    assert groups(["a", "b", "c"], near) == [("a", "b")]
    assert groups(["a", "b"], {("b", "a"): math.nan}) == []
    same = {"S5": [("a", "b"), ("c", "d", "e")], "S4": [("a", "b")], "S3": []}
    assert sentences(same) == [
        "a and b are the same at S5, S4", "c, d and e are the same at S5",
    ]  # fmt: skip


def test_a_map_of_another_size_is_averaged():
    drawn = torch.arange(16.0).view(1, 4, 4)
    assert torch.equal(on_grid(drawn, (2, 2)), torch.tensor([[[2.5, 4.5], [10.5, 12.5]]]))
    assert on_grid(drawn, (4, 4)) is drawn


def network(pooled=True):
    torch.manual_seed(0)
    end = [nn.AdaptiveAvgPool2d(1)] if pooled else []
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 3, padding=1, stride=2),
        nn.ReLU(), *end, nn.Flatten(), nn.Linear(5 if pooled else 80, 3),
    )  # fmt: skip


LAYERS = [Layer("deep", "3"), Layer("shallow", "1")]
IMAGES = torch.randn(2, 3, 8, 8, generator=torch.manual_seed(3))
NAMES = ["cam", "gradcam", "shapleycam", "layercam-normal", "fullgrad"]


def drawn(net, at, batches=(IMAGES,)):
    made = Drawn(at)
    cams = maps.methods(list(at))
    for images in batches:
        made.add(tap(net, images, torch.arange(len(images)), LAYERS), cams)
    return made


def test_what_networks_make_the_same():
    at = {name: ["deep", "shallow"] for name in NAMES}
    made = drawn(network(), at, IMAGES.split(1))
    assert made.idle == []
    assert set(made.refused) == {("cam", "shallow")}
    assert made.refused["cam", "shallow"].startswith("CAM needs a network that ends in")
    assert {m.shape for m in made.maps["deep"].values()} == {(2, 4, 4)}
    same = {
        layer: groups(list(made.maps[layer]), matrix(made.maps[layer]))
        for layer in ("deep", "shallow")
    }
    assert same["deep"] == [("cam", "gradcam", "shapleycam", "layercam-normal")]
    assert same["shallow"] == [("gradcam", "shapleycam")]
    other = drawn(network(pooled=False), at)
    assert other.idle == ["cam"]
    assert groups(list(other.maps["deep"]), matrix(other.maps["deep"])) == [
        ("gradcam", "shapleycam")
    ]


def test_a_method_that_fails_on_a_later_batch_is_left_out_of_all():
    calls = []

    def cam(tap):
        calls.append(len(tap.acts))
        return tap.acts.sum(1) / (len(calls) != 2)

    def fine(tap):
        return tap.acts.sum(1)

    made = Drawn({"sick": ["deep"], "fine": ["deep"]})
    cams = {"sick": maps.Method("sick", cam, True), "fine": maps.Method("fine", fine, True)}
    for image in torch.cat([IMAGES, IMAGES]).split(1):
        made.add(tap(network(), image, torch.tensor([0]), LAYERS), cams)
    assert calls == [1, 1]
    assert list(made.maps["deep"]) == ["fine"]
    assert made.maps["deep"]["fine"].shape == (4, 4, 4)
    assert made.idle == ["sick"]


def test_readings(monkeypatch):
    usual = {"cmwp": ["shallow"]}
    monkeypatch.setattr(identities.maps, "method_layers", lambda name, _net: usual.get(name, []))
    names, layers, net = ["gradcam", "fullgrad", "cmwp"], ["deep", "shallow"], SimpleNamespace()
    assert readings(net, names, layers, named=False) == {
        "gradcam": layers, "fullgrad": ["deep"], "cmwp": ["shallow"],
    }  # fmt: skip
    assert readings(net, names, layers, named=True)["fullgrad"] == layers
    assert readings(net, names, ["deep"], named=True)["cmwp"] == []
