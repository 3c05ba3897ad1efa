"""Targets against their equations, written slowly, and their gradients."""

import math

import pytest
import torch

from camx.camcore import targets
from camx.evaluators import fields
from camx.evaluators.types import MapProtocol

LOGITS = torch.tensor(
    [[3.0, 2.5, -2.0, 2.0, 7.0], [0.0, 0.0, 0.5, -2.0, 30.0], [-4.0, 9.0, 8.0, 7.0, 6.0]],
    dtype=torch.double,
)
CLASSES = torch.tensor([0, 4, 1])
STEPS = (-1e-5, 1e-5)


def nearest(row, c):
    return sorted((d for d in range(len(row)) if d != c), key=lambda d: abs(row[d] - row[c]))[:3]


def slow(row, c, target):
    total = sum(math.exp(y) for y in row)
    p = [math.exp(y) / total for y in row]
    if target == "logit":
        return row[c]
    if target == "softmax":
        return p[c]
    compared = nearest(row, c)
    if target == "finer":
        return row[c] - 0.6 * sum(row[d] for d in compared) / len(compared)
    return sum(p[d] * (row[c] - row[d]) for d in compared) / sum(p[d] for d in compared)


@pytest.mark.parametrize("classes", [5, 4, 3, 2])
@pytest.mark.parametrize("target", targets.TARGETS)
def test_agrees_with_the_equation(target, classes):
    """Fewer than four classes are compared with those there are."""
    logits, asked = LOGITS[:, :classes], CLASSES.clamp(max=classes - 1)
    scores = targets.scores(logits, asked, target)
    expected = [slow(row, c, target) for row, c in zip(logits.tolist(), asked.tolist())]
    assert torch.allclose(scores, torch.tensor(expected, dtype=torch.double), atol=1e-9)
    for row in range(3):
        one = targets.scores(logits[row : row + 1], asked[row : row + 1], target)
        assert torch.equal(one[0], scores[row])


@pytest.mark.parametrize("target", targets.TARGETS)
def test_the_gradient_is_the_equation_s(target):
    """By differences of a step too small to change who is nearest."""
    logits = LOGITS.clone().requires_grad_()
    (grads,) = torch.autograd.grad(targets.scores(logits, CLASSES, target).sum(), logits)
    for n, (row, c) in enumerate(zip(LOGITS.tolist(), CLASSES.tolist())):
        for d in range(5):
            ends = [slow([y + h * (k == d) for k, y in enumerate(row)], c, target) for h in STEPS]
            assert abs(grads[n, d].item() - (ends[1] - ends[0]) / (STEPS[1] - STEPS[0])) < 1e-5


def test_a_sure_network_s_rivals_are_told_apart_too():
    """Their probabilities are too small for a float; their shares are not."""
    logits = torch.tensor([[500.0, 1.0, 2.0, 3.0]])
    score = targets.scores(logits, torch.tensor([0]), "finer-softmax")
    shares = torch.tensor([1.0, 2.0, 3.0]).softmax(0)
    assert torch.allclose(score, 500 - (shares * torch.tensor([1.0, 2.0, 3.0])).sum())


@pytest.mark.parametrize("target", ["finer", "finer-softmax"])
def test_one_class_has_none_to_be_compared_with(target):
    with pytest.raises(ValueError, match=f"target '{target}' compares a class .* has one; use log"):
        targets.scores(LOGITS[:, :1], torch.zeros(3).long(), target)


def test_an_unknown_target_is_named():
    with pytest.raises(ValueError, match="unknown target 'fine'; known: logit, softmax, finer, "):
        targets.scores(LOGITS, CLASSES, "fine")


def test_a_protocol_accepts_what_there_is():
    assert fields.of(MapProtocol)["target"].choices == tuple(targets.TARGETS)
