"""Logits and maps that hold NaN or Inf are errors with names, never ranks and never empty maps."""

import sys

import pytest
import torch
from torch import nn

from camx.camcore import faults, maps
from camx.camcore.faults import Fault, NotFinite
from camx.camcore.taps import Layer

NAN, INF = float("nan"), float("inf")
IMAGES = torch.linspace(0, 1, 3 * 3 * 8 * 8).reshape(3, 3, 8, 8)
TARGETS = torch.tensor([1, 4, 0])
LAYER = [Layer("deep", "1")]


class Pooled(nn.Module):
    """Convolution, ReLU, global average and a linear layer, a chain by name; the logits of images
    that are brighter than a limit
    have `value` added.
    """

    def __init__(self, brightest=1.0, value=NAN):
        super().__init__()
        torch.manual_seed(5)
        self.add_module("0", nn.Conv2d(3, 4, 3, padding=1))
        self.add_module("1", nn.ReLU())
        self.add_module("2", nn.AdaptiveAvgPool2d(1))
        self.add_module("3", nn.Flatten())
        self.add_module("4", nn.Linear(4, 6))
        self.brightest, self.value = brightest, value

    def forward(self, images):
        x = images
        for layer in self.children():
            x = layer(x)
        bright = images.flatten(1).amax(1, keepdim=True) > self.brightest
        return x + torch.where(bright, self.value, 0.0)


def method(cam, name="mine", costly=False):
    return {name: maps.Method(name, cam, costly)}


def test_finite_weights_whose_logits_overflow():
    """The bug reported: every weight is a number, no logit is."""
    net = Pooled().eval()
    with torch.no_grad():
        net.get_submodule("0").weight.mul_(1e30)
        net.get_submodule("4").weight.mul_(1e30)
    assert all(p.isfinite().all() for p in net.parameters())
    with pytest.raises(NotFinite, match=r"the logits of the network hold (NaN|-?Inf) \(row \d"):
        maps.compute(net, IMAGES, TARGETS, LAYER, maps.methods(["layercam"]))


@pytest.mark.parametrize(("value", "word"), [(NAN, "NaN"), (INF, "-?Inf"), (-INF, "-?Inf")])
def test_the_rows_at_fault_are_named(value, word):
    with pytest.raises(NotFinite, match=f"logits of the network hold {word}") as error:
        maps.compute(Pooled(0.4, value), IMAGES, TARGETS, LAYER, maps.methods(["gradcam"]))
    assert error.value.rows == {1, 2}


@pytest.mark.parametrize(("value", "word"), [(NAN, "NaN"), (INF, "Inf"), (-INF, "-Inf")])
@pytest.mark.parametrize("costly", [False, True])
def test_a_map_that_holds_no_number_names_method_layer_and_row(value, word, costly):
    def cam(tap):
        found = tap.acts.sum(1)
        found[1, 2, 3] = value
        return found

    with pytest.raises(NotFinite) as error:
        maps.compute(Pooled(), IMAGES, TARGETS, LAYER, method(cam, costly=costly))
    assert error.value.faults == (Fault(1, word, "mine", "deep"),)
    assert str(error.value).startswith(f"method mine at layer deep: the map holds {word}")


@pytest.mark.parametrize("name", ["gradcam", "gradcampp", "normgrad", "layercam", "cam"])
def test_flat_and_empty_maps_stay_legal(name):
    net = Pooled()
    with torch.no_grad():
        net.get_submodule("0").weight.zero_()  # all places alike, or all zero
        raw, _ = maps.compute(net, IMAGES, TARGETS, LAYER, maps.methods([name]))
        net.get_submodule("0").bias.fill_(-1)
        empty, _ = maps.compute(net, IMAGES, TARGETS, LAYER, maps.methods([name]))
    assert raw[name, "deep"].amax() == raw[name, "deep"].amin() or len(raw[name, "deep"]) == 3
    assert not empty[name, "deep"].any()


def test_padding_is_nobody_s_fault():
    cams = maps.methods(["layercam", "scorecam"])
    padded, _ = maps.compute(Pooled(0.7), IMAGES, TARGETS, LAYER, cams, rows=2)
    sound, _ = maps.compute(Pooled(), IMAGES, TARGETS, LAYER, cams, rows=2)
    for key, found in padded.items():
        assert found[:2].equal(sound[key][:2])  # and a neighbour at fault moves no bit
    with pytest.raises(NotFinite):
        maps.compute(Pooled(0.7), IMAGES, TARGETS, LAYER, cams, rows=3)


@pytest.mark.parametrize("name", ["cam", "cmwp", "scorecam"])
@pytest.mark.usefixtures("two_threads")
def test_the_other_images_of_a_batch_keep_their_maps(name):
    """One image's logits say nothing of whether CAM or c-MWP suits the network."""
    cams = maps.methods([name])
    layer = [Layer("deep", "0")] if name == "cmwp" else LAYER
    padded, _ = maps.compute(Pooled(0.7), IMAGES, TARGETS, layer, cams, rows=2)
    sound, _ = maps.compute(Pooled(), IMAGES, TARGETS, layer, cams, rows=2)
    assert padded[name, "deep"][:2].equal(sound[name, "deep"][:2])


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("name", ["scorecam", "scorecam-channel"])
def test_masked_logits_that_are_no_numbers_leave_no_map(name, value):
    """A softmax makes 0 of the logit -Inf: the map would be finite."""

    class Masked(Pooled):
        def forward(self, x):
            logits = super().forward(x)
            return logits if x.requires_grad or self.passes == 0 else self.spoilt(logits)

        def spoilt(self, logits):
            logits = logits.clone()
            logits[:, 5] = value
            return logits

    net = Masked()
    net.passes = 0
    maps.compute(net, IMAGES, TARGETS, LAYER, maps.methods([name]))
    net.passes = 1
    with pytest.raises(NotFinite, match=f"method {name} at layer deep: the map holds NaN"):
        maps.compute(net, IMAGES, TARGETS, LAYER, maps.methods([name]))


def leave(_tap):
    sys.exit("bye")


WRONG = {
    "no tensor": (lambda tap: tap.acts.sum(1).numpy(), "not ndarray"),
    "nothing": (lambda tap: None, "not NoneType"),
    "a number": (lambda tap: tap.acts.sum(), r"not torch\.float32 \(\) on cpu"),
    "channels kept": (lambda tap: tap.acts, r"not torch\.float32 \(3, 4, 8, 8\) on cpu"),
    "images lost": (lambda tap: tap.acts.sum(1)[:1], r"\(1, 8, 8\) on cpu"),
    "no pixels": (lambda tap: tap.acts.sum(1)[:, :0], r"\(3, 0, 8\) on cpu"),
    "whole numbers": (lambda tap: (tap.acts > 0).sum(1), r"not torch\.int64 \(3, 8, 8\)"),
    "a mask": (lambda tap: tap.acts.sum(1) > 0, r"not torch\.bool \(3, 8, 8\)"),
    "complex": (lambda tap: tap.acts.sum(1).to(torch.complex64), r"not torch\.complex64"),
    "elsewhere": (lambda tap: tap.acts.sum(1).to("meta"), r"\(3, 8, 8\) on meta"),
    "an error": (lambda tap: {}["x"], "KeyError: 'x'"),
    "an exit": (leave, "SystemExit: bye"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("costly", [False, True])
def test_what_a_method_of_a_user_s_returns_is_named(wrong, costly):
    cam, said = WRONG[wrong]
    with pytest.raises(ValueError, match=f"(?s)method 'mine' at layer deep.*{said}"):
        maps.compute(Pooled(), IMAGES, TARGETS, LAYER, method(cam, costly=costly))


def test_maps_of_two_sizes_are_refused(monkeypatch):
    monkeypatch.setattr(maps, "STEP", 4 * 8 * 8)  # an image at a time
    sizes = [8, 8, 4]
    cams = method(lambda tap: tap.acts.sum(1)[:, : sizes.pop()])
    with pytest.raises(ValueError, match=r"maps of one size, not \(4, 8\) and \(8, 8\)"):
        maps.compute(Pooled(), IMAGES, TARGETS, LAYER, cams)


def test_a_sum_that_overflows_is_no_fault():
    faults.check({("a", "b"): torch.full((2, 3, 3), 3e38)})
    faults.check({("a", "b"): torch.full((2, 30, 30), 6e4, dtype=torch.float16)})
    faults.check({("a", "b"): torch.zeros(0, 3, 3)})
    faults.check({})
    for value, word in ((NAN, "NaN"), (INF, "Inf"), (-INF, "-Inf")):
        for kind in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
            part = torch.ones(3, 2, 2, dtype=kind)
            part[1, 1, 0] = value
            with pytest.raises(NotFinite) as error:
                faults.check({faults.LOGITS: torch.ones(3, 2), ("a", "b"): part})
            assert error.value.faults == (Fault(1, word, "a", "b"),)


def test_opposite_infinities_do_not_cancel():
    with pytest.raises(NotFinite, match="holds Inf"):
        faults.check({("a", "b"): torch.tensor([[[INF, -INF]]])})


def test_one_fault_a_row_the_logits_first():
    bad = torch.full((2, 2), NAN)
    with pytest.raises(NotFinite) as error:
        faults.check({faults.LOGITS: bad[:1], ("a", "b"): bad})
    assert [(f.row, f.method) for f in error.value.faults] == [(0, ""), (1, "a")]
    merged = error.value.mapped(lambda fault: Fault(7, fault.value, fault.method))
    assert [(f.row, f.method) for f in merged.faults] == [(7, "")]


def test_of_many_tensors_the_first_that_is_not_finite():
    sound = {"a": torch.ones(2), "count": torch.tensor(3)}
    assert faults.infinite({}) == faults.infinite(sound) == ""
    assert faults.infinite({**sound, "b": torch.tensor([1, INF]), "c": torch.tensor(NAN)}) == "b"
