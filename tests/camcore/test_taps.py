import pytest
import torch
import torchvision
from torch import nn
from torch.nn.functional import interpolate

from camx.camcore import maps
from camx.camcore.layers import Layer, belongs
from camx.camcore.taps import tap

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


@pytest.mark.parametrize(
    ("sides", "of"),
    [
        ((7, 7), (224, 224)),
        ((224, 224), (224, 224)),
        ((1, 1), (224, 224)),
        ((7, 8), (224, 224)),  # a kernel of 1 x 2
        ((7, 14), (224, 448)),
        ((1, 8), (224, 448)),  # unpadded: fc6 as a convolution
        ((7, 7), (224, 448)),  # pooled to a square
        ((4, 11), (101, 333)),
        ((11, 4), (333, 101)),
        ((3, 8), (150, 299)),  # Inception's last
        ((225, 225), (224, 224)),
    ],
)
def test_sides_that_an_activation_can_have(sides, of):
    assert belongs(sides, of)


@pytest.mark.parametrize(
    ("sides", "of"),
    [
        ((7, 768), (224, 224)),  # Swin's last stage, channels last
        ((56, 96), (224, 224)),  # its first
        ((768, 7), (224, 224)),
        ((49, 768), (224, 224)),
        ((7, 9), (224, 224)),
        ((577, 577), (384, 384)),  # tokens by tokens
        ((10, 768), (224, 336)),
        ((84, 96), (224, 336)),  # as no one stride makes them
        ((14, 7), (224, 448)),  # turned
    ],
)
def test_sides_that_no_activation_has(sides, of):
    assert not belongs(sides, of)


FAMILIES = {
    "resnet18": ("layer4", "layer1.0.conv1"),
    "mobilenet_v2": ("features.18", "features.3"),
    "densenet121": ("features.denseblock4", "features.norm5"),
    "googlenet": ("inception5b", "inception3a.branch3"),
    "inception_v3": ("Mixed_7c", "Mixed_6b.branch7x7_2"),
    "squeezenet1_1": ("features.12", "classifier.1"),
    "shufflenet_v2_x0_5": ("conv5", "stage2"),
    "convnext_tiny": ("features.7", "features.1.0.block.6"),
    "swin_t": ("permute",),
    "vit_b_16": ("conv_proj",),
}


def of_torchvision(name):
    """The network with random weights, and two small images."""
    torch.manual_seed(0)
    if name == "vit_b_16":  # its class, at a tenth of the width
        size = {"num_layers": 2, "num_heads": 2, "hidden_dim": 32, "mlp_dim": 64}
        net = torchvision.models.VisionTransformer(64, 16, num_classes=10, **size)
        return net.eval(), torch.rand(2, 3, 64, 64)
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    net = getattr(torchvision.models, name)(weights=None, num_classes=10, **options).eval()
    return net, torch.rand(2, 3, *[107 if name == "inception_v3" else 65] * 2)


@pytest.mark.parametrize("name", FAMILIES)
def test_activations_of_torchvision_s_networks(name):
    net, images = of_torchvision(name)
    layers = [Layer(path, path) for path in FAMILIES[name]]
    for shown in (images,) if name == "vit_b_16" else (images, images[..., :60]):
        if name == "inception_v3" and shown is not images:
            shown = images.repeat(1, 1, 1, 2)[..., :150]
        for tapped in tap(net, shown, torch.tensor([1, 2]), layers).values():
            assert tapped.acts.shape == tapped.grads.shape
            assert len(tapped.acts) == 2
            assert tapped.acts.shape[1] > max(tapped.acts.shape[2:])


@pytest.mark.parametrize(
    ("name", "path", "shape"),
    [
        ("swin_t", "features.7", "(2, 2, 2, 768)"),
        ("swin_t", "features.0", "(2, 16, 16, 96)"),
        ("swin_t", "norm", "(2, 2, 2, 768)"),
        ("convnext_tiny", "features.1.0.block.2", "(2, 16, 16, 96)"),
        ("convnext_tiny", "features.1.0.block.3", "(2, 16, 16, 384)"),
        ("vit_b_16", "encoder.layers.encoder_layer_1", "(2, 17, 32)"),
        ("vit_b_16", "encoder.layers.encoder_layer_1.self_attention", "a tuple"),
        ("vit_b_16", "heads", "(2, 10)"),
        ("resnet18", "fc", "(2, 10)"),
    ],
)
def test_other_layouts_are_refused_with_their_shape(name, path, shape):
    net, images = of_torchvision(name)
    with pytest.raises(ValueError, match="expected one tensor") as error:
        tap(net, images, torch.tensor([1, 2]), [Layer("x", path)])
    side = images.shape[-1]
    assert str(error.value).startswith(f"module {path!r} gives {shape}")
    assert f"(N,C,h,w), N=2, h and w in proportion to {side} x {side}" in str(error.value)
    assert not any(m._forward_hooks for m in net.modules())


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
