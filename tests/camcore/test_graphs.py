import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from camx.camcore.graphs import Graph, node


def graph(function, *, of=(1, 3, 6, 6)):
    """The graph of ``function(images)``, and where each tensor that it yields is."""
    images = torch.rand(of).requires_grad_()
    tensors = function(images)
    return Graph(tensors[-1], images), [node(t) for t in tensors]


def branches(x):
    """A stem, two branches, what becomes of both."""
    stem = x * 2
    left, right = stem.relu(), stem.sin()
    both = left + right
    return stem, left, right, both, both.sum((2, 3))


def test_a_cut_is_what_every_path_leads_through():
    made, places = graph(branches)
    assert [made.cuts(at) for at in places] == [True, False, False, True, True]
    assert all(made.reaches(at) for at in places)


def test_cuts_are_those_without_which_nothing_of_the_picture_is_left():
    """Against the definition, on random graphs: with the tensor detached, nothing depends on it."""

    def build(seed, cut=None):
        x, generator = torch.rand(1, 2, 3, 3).requires_grad_(), torch.Generator().manual_seed(seed)
        tensors = [x * 1.5]
        for at in range(1, 9):
            one, other = torch.randint(max(0, at - 3), at, (2,), generator=generator).tolist()
            tensors.append(tensors[one].sin() + tensors[other].cos())
            tensors[-1] = tensors[-1].detach() if cut == at else tensors[-1]
        return x, tensors

    cuts = []
    for seed in range(20):
        x, tensors = build(seed)
        made = Graph(tensors[-1], x)
        for at in range(1, len(tensors) - 1):
            without = build(seed, at)[1][-1]
            needed = made.reaches(node(tensors[at])) and not without.requires_grad
            assert made.cuts(node(tensors[at])) == needed
            cuts.append(needed)
    assert 10 < sum(cuts) < len(cuts) - 10


def test_what_does_not_reach_the_logits_is_told():
    def idle(x):
        unused, used = x.relu(), x.sin()
        return unused, used, used.sum((2, 3))

    made, (unused, used, _) = graph(idle)
    assert not made.reaches(unused)
    assert made.reaches(used)


BOUNDED = {
    "relu": (lambda x: x.relu(), 0),
    "relu6": (functional.relu6, 0),
    "hardtanh": (functional.hardtanh, -1),
    "sigmoid": (torch.sigmoid, 0),
    "softmax": (lambda x: x.softmax(1), 0),
    "clamp": (lambda x: x.clamp(min=-0.25), -0.25),
    "clamp by a tensor": (lambda x: x.clamp(min=torch.tensor(-0.25)), -math.inf),
    "clamp above": (lambda x: x.clamp(max=1), -math.inf),
    "gelu": (functional.gelu, -0.17),
    "silu": (functional.silu, -0.2785),
    "hardswish": (functional.hardswish, -0.375),
    "mish": (functional.mish, -0.3088),
    "elu": (lambda x: functional.elu(x, 0.5), -0.5),
    "leaky": (functional.leaky_relu, -math.inf),
    "pool of relu": (lambda x: functional.max_pool2d(x.relu(), 2), 0),
    "mean of silu": (lambda x: functional.avg_pool2d(functional.silu(x), 2), -0.2785),
    "sum of two": (lambda x: functional.gelu(x) + functional.silu(x), -0.4485),
    "relu and signed": (lambda x: x.relu() + x.sin(), -math.inf),
    "cat": (lambda x: torch.cat([x.relu(), functional.silu(x)], 1), -0.2785),
    "shuffled": (lambda x: x.relu().view(1, 3, 36).transpose(1, 2).reshape(1, 3, 6, 6), 0),
    "gated": (lambda x: functional.silu(x) * torch.sigmoid(x.mean((2, 3), keepdim=True)), -0.2785),
    "gate of relu": (lambda x: x.relu() * x.sin().sigmoid(), 0),
    "two negatives": (lambda x: functional.silu(x) * functional.gelu(x), -math.inf),
    "signed gate": (lambda x: x.sin() * torch.sigmoid(x), -math.inf),
    "padded": (lambda x: functional.pad(x.relu() + 1, (1, 1, 1, 1)), -math.inf),
    "convolution": (lambda x: functional.conv2d(x.relu(), torch.ones(2, 3, 1, 1)), -math.inf),
}  # fmt: skip


@pytest.mark.parametrize("name", BOUNDED)
def test_no_value_is_below_the_bound(name):
    """The bound is the expected one, and true of values from -50 to 50 and near 0."""
    function, bound = BOUNDED[name]
    made, (at, _) = graph(lambda x: (y := function(x), y.sum().reshape(1, 1)))
    assert made.bound(at) == pytest.approx(bound, abs=1e-4)
    for scale, seed in itertools.product((0.5, 3, 50), range(3)):
        torch.manual_seed(seed)
        values = function(scale * torch.randn(1, 3, 6, 6))
        assert values.min() >= bound - 1e-4


def test_modules_that_hand_a_tensor_on_have_one_number():
    def passing(x):
        once = x.relu()
        return once, nn.Identity()(once), once.sin(), once.sum((2, 3))

    made, (first, same, other, _) = graph(passing)
    assert made.number(first) == made.number(same)
    assert node(torch.ones(1)) is None
    assert node("no tensor") is None
    assert other is not None


def test_outputs_of_one_function_are_told_apart():
    """A half of a split is no cut, the whole is."""

    def halves(x):
        y = x.repeat(1, 2, 1, 1)
        a, b = y.chunk(2, 1)
        return y, a, b, (a.relu() + b.sin()).sum((2, 3))

    made, (whole, a, b, _) = graph(halves)
    assert made.number(a) != made.number(b)
    assert made.cuts(whole)
    assert not made.cuts(a)
    assert not made.cuts(b)
