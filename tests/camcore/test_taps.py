import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from camx.camcore import maps
from camx.camcore.taps import Layer, tap

IMAGES = torch.linspace(-1, 1, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8)


def network(inplace: bool) -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace), nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3, padding=1), nn.ReLU(inplace), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(20, 6),
    )  # fmt: skip


TARGETS = torch.tensor([1, 4])
BOTH = [Layer("deep", "4", "5"), Layer("shallow", "1", "2")]


def by_hand(path: int, images, targets):
    """Activation of module `path` and the gradient of each image's own target logit, one image at a
    time.
    """
    net = network(inplace=False).eval()
    acts, grads = [], []
    for image, target in zip(images, targets):
        act = net[: path + 1](image[None]).detach().requires_grad_()
        net[path + 1 :](act)[0, target].backward()
        acts.append(act.detach()[0])
        grads.append(act.grad[0])
    return torch.stack(acts), torch.stack(grads)


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("path", [0, 1, 3, 4, 5])
def test_activation_and_own_gradient(inplace, path):
    """Even before an in-place ReLU (paths 0 and 3), where a plain hook would see the ReLU's
    output.
    """
    net = network(inplace)
    for _ in range(2):  # the second pass knows which modules are overwritten
        tapped = tap(net, IMAGES, TARGETS, [Layer("x", str(path))])["x"]
        acts, grads = by_hand(path, IMAGES, TARGETS)
        assert torch.allclose(tapped.acts, acts, atol=1e-6)
        assert torch.allclose(tapped.grads, grads, atol=1e-6)
        assert torch.allclose(tapped.logits, network(False).eval()(IMAGES), atol=1e-6)


def test_next_gradient_is_the_pools_upsampled():
    tapped = tap(network(True), IMAGES, TARGETS, BOTH, gradient="next")
    for name, path in (("deep", 4), ("shallow", 1)):
        acts, _ = by_hand(path, IMAGES, TARGETS)
        _, grads = by_hand(path + 1, IMAGES, TARGETS)
        assert torch.allclose(tapped[name].acts, acts, atol=1e-6)
        expected = interpolate(grads, acts.shape[-2:], mode="bilinear", align_corners=True)
        assert torch.allclose(tapped[name].grads, expected, atol=1e-6)


def test_a_layer_without_follower_keeps_its_own_gradient():
    tapped = tap(network(True), IMAGES, TARGETS, [Layer("x", "1")], gradient="next")["x"]
    assert torch.allclose(tapped.grads, by_hand(1, IMAGES, TARGETS)[1], atol=1e-6)


def test_one_forward_and_one_backward_for_all_layers_and_methods():
    net, passes = network(True), []
    net.register_forward_hook(lambda *_: passes.append("forward"))
    net[8].register_full_backward_hook(lambda *_: passes.append("backward"))
    cams = maps.methods(["gradcam", "gradcampp", "layercam", "layercam-normal", "normgrad"])
    raw, _ = maps.compute(net, IMAGES, TARGETS, BOTH, cams)
    assert len(raw) == 10
    assert passes == ["forward", "backward"]


def state(net):
    return [p.requires_grad for p in net.parameters()], [m.training for m in net.modules()]


@pytest.mark.parametrize("fails", [False, True])
def test_the_network_is_left_as_it_was(fails):
    net = network(True).train()
    net[0].weight.requires_grad_(False)
    before = state(net)
    if fails:
        with pytest.raises(ValueError, match=r"0\.\.5"):
            tap(net, IMAGES, torch.tensor([1, 6]), BOTH)
    else:
        tap(net, IMAGES, TARGETS, BOTH)
    assert state(net) == before
    assert all(p.grad is None for p in net.parameters())
    assert not any(m._forward_hooks for m in net.modules())


@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
def test_works_where_gradients_are_switched_off(guard):
    expected = tap(network(True), IMAGES, TARGETS, BOTH)["deep"].grads
    net = network(True)
    with guard():
        assert torch.equal(tap(net, IMAGES.clone(), TARGETS, BOTH)["deep"].grads, expected)


def test_a_network_may_begin_in_place():
    net = nn.Sequential(nn.ReLU(inplace=True), network(False))
    images = IMAGES.clone()
    tap(net, images, TARGETS, [Layer("x", "1.1")])
    assert torch.equal(images, IMAGES)


@pytest.mark.parametrize(
    ("targets", "word"),
    [
        (torch.tensor([1]), "one class index per image"),
        (torch.tensor([0.0, 1.0]), "integers"),
        (torch.tensor([-1, 0]), "0..5"),
    ],
)
def test_targets_are_strict_pairs(targets, word):
    with pytest.raises(ValueError, match=word):
        tap(network(True), IMAGES, targets, BOTH)


def test_unknown_module_and_twice_run_module_are_refused():
    with pytest.raises(ValueError, match="no module 'nothing'"):
        tap(network(True), IMAGES, TARGETS, [Layer("x", "nothing")])
    relu = nn.ReLU()
    net = nn.Sequential(
        nn.Conv2d(3, 3, 1), relu, nn.Conv2d(3, 3, 1), relu, nn.Flatten(), nn.Linear(192, 6)
    )
    with pytest.raises(ValueError, match="more than once"):
        tap(net, IMAGES, TARGETS, [Layer("x", "1")])
    assert not relu._forward_hooks


def test_no_memory_of_earlier_batches():
    """Ten passes hold no more tensors than two: nothing of a batch survives it."""
    import gc

    net = network(True)
    counts = []
    for _ in range(10):
        maps.compute(net, IMAGES, TARGETS, BOTH, maps.methods(["layercam"]))
        gc.collect()
        counts.append(sum(isinstance(o, torch.Tensor) for o in gc.get_objects()))
    assert counts[-1] == counts[1]
