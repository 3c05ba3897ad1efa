"""Networks that compute otherwise: near the default, as asked, refused where they cannot."""

from contextlib import suppress

import pytest
import torch
from torch import nn

from camx.camcore import arithmetic, maps, networks, taps
from camx.camcore.arithmetic import Arithmetic
from camx.camcore.layers import Layer
from camx.evaluators import datasets, loop, plan

BF16, FP16 = Arithmetic("bf16"), Arithmetic("fp16")
LAST = Arithmetic(channels_last=True)
NEAR = {LAST: 1e-4, BF16: 5e-2, FP16: 2e-2}  # of a map's norm


@pytest.fixture(scope="module", params=["mini-vgg", "mini-resnet"])
def network(request):
    return networks.load(request.param)


def pictures(network):
    """Two of the miniature, prepared, and their labels."""
    samples = datasets.load("mini").samples[:2]
    decoded = [loop.decode(sample, (network.input_size,)) for sample in samples]
    return network.prepare(loop.stacked(decoded)), loop.labels(decoded)


def made(network, how):
    images, labels = pictures(network)
    module = arithmetic.computing(network.module, how, "cpu")
    deepest = [*network.layers.values()][:2]
    return maps.compute(module, images, labels, deepest, maps.methods(plan.METHODS))


@pytest.mark.parametrize("how", NEAR, ids=str)
def test_maps_are_near_those_of_float32(network, how):
    exact, logits = made(network, arithmetic.DEFAULT)
    other, answers = made(network, how)
    assert answers.dtype == torch.float32
    for key, before in exact.items():
        after = other[key]
        assert after.dtype == torch.float32
        away = (after - before).flatten(1).norm(dim=1) / before.flatten(1).norm(dim=1)
        assert away.max() < NEAR[how], key
    assert (answers - logits).abs().max() < NEAR[how] * logits.abs().max()
    if how.half:  # it did compute otherwise
        assert not answers.equal(logits)
        assert (answers - logits).abs().max() > 1e-5 * logits.abs().max()


def test_a_tap_shows_float32_and_its_network_answers_as_it_did(network):
    images, labels = pictures(network)
    module = arithmetic.computing(network.module, BF16, "cpu")
    layer = next(iter(network.layers.values()))
    shown = taps.tap(module, images, labels, [layer])[layer.name]
    assert shown.acts.dtype == shown.grads.dtype == torch.float32
    assert shown.acts.equal(shown.acts.bfloat16().float())  # as the network gave them
    assert shown.score(images).equal(shown.logits)


def test_the_default_is_the_network_itself(network):
    assert arithmetic.computing(network.module, Arithmetic(), "cpu") is network.module
    assert arithmetic.of(network.module) == arithmetic.DEFAULT


def test_another_layout_is_a_copy_s(network):
    images, labels = pictures(network)
    module = arithmetic.computing(network.module, LAST, "cpu")
    weights = [m.weight for m in module.modules() if isinstance(m, nn.Conv2d)]
    seen = []
    first = next(m for m in module.modules() if isinstance(m, nn.Conv2d))
    with first.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0])):
        taps.tap(network.module, images, labels, [*network.layers.values()][:1])
        assert not seen
        taps.tap(module, images, labels, [*network.layers.values()][:1])
    last = torch.channels_last
    assert all(t.is_contiguous(memory_format=last) for t in (*weights, seen[0]))
    old = [m.weight for m in network.module.modules() if isinstance(m, nn.Conv2d)]
    assert not old[1].is_contiguous(memory_format=last)
    assert arithmetic.computing(module, LAST, "cpu") is module


def test_cam_finds_its_head_in_half_precision():
    network = networks.load("mini-resnet")
    images, labels = pictures(network)
    layer = network.layers["layer4"]
    for how in (BF16, FP16):
        module = arithmetic.computing(network.module, how, "cpu")
        shown = taps.tap(module, images, labels, [layer])["layer4"]
        assert shown.head is not None
        assert shown.head.equal(network.module.fc.weight)


class Faint(nn.Module):
    """A network whose scores' gradients are smaller than fp16's smallest number."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 3)
        nn.init.constant_(self.fc.weight, 2e-5)

    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3)))


@pytest.mark.parametrize("targets", [[1, 2], [[0, 1], [0, 2], [1, 1]]], ids=["images", "pairs"])
def test_gradients_of_fp16_do_not_vanish(targets):
    """2e-5 / 256 pixels is 8e-8: one step of fp16, and half of it would be none."""
    module = arithmetic.computing(Faint().requires_grad_(False), FP16, "cpu")
    shown = taps.tap(module, torch.rand(2, 3, 16, 16), torch.tensor(targets), [Layer("a", "conv")])
    expected = torch.full_like(shown["a"].grads, 2e-5 / 256)
    torch.testing.assert_close(shown["a"].grads, expected, rtol=2e-2, atol=0)


def test_tf32_is_for_its_products_alone():
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    try:
        for usual in (False, True):
            matmul.allow_tf32 = cudnn.allow_tf32 = usual
            for precision in ("tf32", "float32"):
                with suppress(KeyError), Arithmetic(precision).products():
                    inside = matmul.allow_tf32, cudnn.allow_tf32
                    raise KeyError
                assert inside == (2 * (True,) if precision == "tf32" else 2 * (usual,))
                assert (matmul.allow_tf32, cudnn.allow_tf32) == 2 * (usual,)
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


@pytest.mark.parametrize(
    ("precision", "device", "capability", "accepted"),
    [
        ("tf32", "cpu", None, "float32, bf16, fp16"),
        ("tf32", "cuda", (7, 5), "float32, fp16"),
        ("bf16", "cuda:1", (7, 0), "float32, fp16"),
        ("bf16", "cuda", (8, 0), None),
        ("tf32", "cuda", (9, 0), None),
        ("fp16", "cuda", (7, 0), None),
    ],
)
def test_what_a_device_does_not_have(monkeypatch, precision, device, capability, accepted):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    network = nn.Conv2d(3, 2, 1)
    if accepted is None:
        how = Arithmetic(precision)
        assert arithmetic.of(arithmetic.computing(network, how, device)) == how
        return
    words = f"precision is '{precision}', which {device} does not have; accepted there: {accepted}$"
    with pytest.raises(ValueError, match=words):
        arithmetic.computing(network, Arithmetic(precision), device)


def test_methods_that_need_more():
    exact = maps.methods(["layercam", "rollout"]).values()
    for how in (arithmetic.DEFAULT, Arithmetic("tf32"), LAST):
        maps.check_arithmetic(exact, how)
    with pytest.raises(ValueError, match="method 'rollout' needs precision float32 or tf32, not"):
        maps.check_arithmetic(exact, BF16)
    needing = {"chefer", "legrad", "rollout", "shapleycam"}
    shipped = maps.methods([*needing, "cmwp", "fullgrad", "scorecam", "cam", "gradcam"])
    assert {name for name, method in shipped.items() if method.exact} == needing


def test_words():
    assert [str(how) for how in (arithmetic.DEFAULT, BF16, LAST)] == ["", "bf16", "channels last"]
    assert str(Arithmetic("fp16", True)) == "fp16, channels last"
