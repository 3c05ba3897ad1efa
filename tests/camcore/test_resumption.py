"""Runs resumed at a layer against whole ones whose layer's output a hook replaces."""

import pytest
import torch
import torchvision
from torch import nn
from torch.nn.functional import relu

from camx.camcore import resumption
from camx.camcore.layers import Layer, Layout
from camx.camcore.taps import tap

IMAGES = torch.randn(3, 3, 16, 16, generator=torch.manual_seed(0))
WORK = {"conv": 0}


class Counted(nn.Conv2d):
    """Counts the images it convolves."""

    def forward(self, x):
        WORK["conv"] += len(x)
        return super().forward(x)


def vgg():
    return nn.Sequential(
        Counted(3, 4, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(80, 6),
    )  # fmt: skip


class Residual(nn.Module):
    """A convolution used before the layer, in it and after it; keyword arguments; a residual sum
    in place; a dictionary out of one module, a tuple out of another.
    """

    def __init__(self):
        super().__init__()
        self.stem, self.shared = Counted(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.named, self.several, self.layer = Named(), Several(), nn.Conv2d(4, 4, 3, padding=1)
        self.relu, self.dropout, self.fc = nn.ReLU(True), nn.Dropout(), nn.Linear(4, 6)

    def forward(self, x):
        x = self.named(self.shared(self.stem(x)), scale=2.0)["scaled"]
        left, right, words = self.several(x)
        x = self.layer(left) + right + len(words)
        x += left
        x = self.named(self.shared(self.relu(x)), scale=0.5)["scaled"]
        return self.fc(self.dropout(relu(x + 0.3 * self.several(x)[1]).mean((2, 3))))


class Named(nn.Module):
    def forward(self, x, *, scale):
        return {"scaled": x * scale, "scale": scale, "nothing": None}


class Several(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return self.inner(x), [x.sin(), "words"][0], "words"


class Overwriting(nn.Module):
    """Writes into what a module before the layer gave, after the layer."""

    def __init__(self):
        super().__init__()
        self.stem, self.layer = Counted(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.fc = nn.Linear(4, 6)

    def forward(self, x):
        x = self.stem(x)
        x += 1
        y = self.layer(x)
        x.mul_(2)
        return self.fc((x * relu(y, inplace=True)).mean((2, 3)))


class Remembering(nn.Module):
    """Something of the stem's goes to the end by another way than its output."""

    def __init__(self):
        super().__init__()
        self.stem, self.layer = Keeper(), nn.Conv2d(4, 4, 3, padding=1)
        self.fc = nn.Linear(8, 6)

    def forward(self, x):
        y = self.layer(self.stem(x))
        return self.fc(torch.cat([relu(y), self.stem.kept], 1).mean((2, 3)))


class Keeper(Counted):
    def __init__(self):
        super().__init__(3, 4, 3, padding=1)
        self.kept = None

    def forward(self, x):
        self.kept = super().forward(x)
        return self.kept


class Tokens(nn.Module):
    """A class token and 4x4 tokens, images first or second; a block gives a tuple."""

    def __init__(self, second=False):
        super().__init__()
        self.patches, self.second = Counted(3, 8, 4, 4), second
        self.blocks = nn.ModuleList(Block(second) for _ in range(3))
        self.fc = nn.Linear(8, 6)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([x.mean(1, keepdim=True), x], 1)
        x = x.transpose(0, 1) if self.second else x
        for block in self.blocks:
            x, _ = block(x)
        return self.fc(x[0] if self.second else x[:, 0])


class Block(nn.Module):
    def __init__(self, second):
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=not second)

    def forward(self, x):
        y = self.norm(x)
        y, weights = self.attention(y, y, y)
        return x + y, weights


class Windows(nn.Module):
    """Channels last; each picture is four windows, as in Swin, where the layer is inside."""

    def __init__(self):
        super().__init__()
        self.stem, self.before, self.layer = Counted(3, 4, 2, 2), nn.Linear(4, 4), nn.Linear(4, 4)
        self.fc = nn.Linear(4, 6)

    def forward(self, x):
        x = self.stem(x).permute(0, 2, 3, 1)
        w = self.before(x.unflatten(1, (2, 4)).unflatten(3, (2, 4)).transpose(2, 3).flatten(0, 2))
        y = self.layer(x) * w.unflatten(0, (-1, 2, 2)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
        return self.fc(relu(y.view(len(y), -1, 4)).mean(1))


TOKENS = Layout("nlc", 1, (4, 4))
CASES = {
    "vgg": (vgg, "4", Layout()),
    "vgg, first": (vgg, "0", Layout()),
    "before a ReLU in place": (vgg, "3", Layout()),
    "residual": (Residual, "layer", Layout()),
    "in a module": (Residual, "stem", Layout()),
    "tokens": (Tokens, "blocks.1", TOKENS),
    "tokens, inside a block": (Tokens, "blocks.2.norm", TOKENS),
    "tokens, images second": (lambda: Tokens(True), "blocks.1", Layout("lnc", 1, (4, 4))),
    "windows": (Windows, "layer", Layout("nhwc")),
}


def tapped(build, path, layout, images=IMAGES):
    torch.manual_seed(1)
    net = build().eval()
    return tap(net, images, torch.arange(len(images)), [Layer("x", path, None, layout)])["x"]


def variants(tap, count):
    """Row by row, some activations left out."""
    many = tap.acts.repeat_interleave(count, 0)
    return many * (torch.rand(many.shape, generator=torch.manual_seed(2)) > 0.5)


def whole(tap, acts, images=None):
    """The network run whole, its layer's output replaced."""
    images = tap.images[tap.origin] if images is None else images
    images = images.repeat_interleave(len(acts) // len(images), 0)

    def hook(_module, _inputs, output):
        several = isinstance(output, tuple)
        placed = tap.layer.layout.placed(acts, output[0] if several else output).contiguous()
        return (placed, *output[1:]) if several else placed.clone()

    with tap.network.get_submodule(tap.layer.activation).register_forward_hook(hook):
        return tap.score(images)


@pytest.mark.parametrize("case", CASES)
def test_resumes_without_what_is_before(case):
    tap = tapped(*CASES[case])
    acts = variants(tap, 4)
    expected = whole(tap, acts)
    assert (expected.unflatten(0, (3, 4)) - tap.logits[:, None]).abs().amin((1, 2)).max() > 0
    before, given = WORK["conv"], acts.clone()
    logits = tap.resume(acts)
    assert WORK["conv"] - before == 3  # in the recorded passes alone
    assert torch.allclose(logits, expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(acts, given)
    assert torch.allclose(tap.resume(tap.acts), tap.logits, rtol=1e-5, atol=1e-6)
    assert not logits.requires_grad


@pytest.mark.parametrize(("build", "copied"), [(vgg, False), (Overwriting, True)])
def test_recorded_outputs_are_copied_only_where_they_are_written_into(build, copied):
    tap = tapped(build, "4" if build is vgg else "layer", Layout())
    run = resumption.resumed(tap.network, tap.layer, IMAGES[:1])
    assert run.func is resumption._from_layer
    assert run.args[-1] is copied
    acts = variants(tap, 3)
    expected = whole(tap, acts)
    for _ in range(2):  # nothing recorded is spoiled by a run
        assert torch.allclose(run(acts[:3]), expected[:3], rtol=1e-5, atol=1e-6)
    assert torch.allclose(run(acts[:1]), expected[:1], rtol=1e-5, atol=1e-6)
    assert torch.allclose(tap.resume(acts), expected, rtol=1e-5, atol=1e-6)


def test_a_network_that_is_not_reproduced_is_run_whole():
    tap = tapped(Remembering, "layer", Layout())
    acts = variants(tap, 3)
    expected = whole(tap, acts)
    assert resumption.resumed(tap.network, tap.layer, IMAGES[:1]).func is resumption._whole
    assert torch.allclose(tap.resume(acts), expected, rtol=1e-5, atol=1e-6)


class Skipping(nn.Module):
    """Does not call its layer while that has no hooks."""

    def __init__(self):
        super().__init__()
        self.layer, self.fc = nn.Conv2d(3, 4, 1), nn.Linear(4, 6)

    def forward(self, x):
        hooked = self.layer._forward_hooks
        x = self.layer(x) if hooked else nn.Conv2d.forward(self.layer, x)
        return self.fc(x.mean((2, 3)))


def test_a_layer_that_is_passed_over_is_no_resumption():
    """Unchanged activations would give the same logits, and so would changed ones."""
    tap = tapped(Skipping, "layer", Layout())
    acts = variants(tap, 2)
    assert torch.allclose(tap.resume(acts), whole(tap, acts), rtol=1e-5, atol=1e-6)
    assert resumption.resumed(tap.network, tap.layer, IMAGES[:1]).func is resumption._whole


class Failing(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.layer, self.fc = nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Linear(4, 6)

    def forward(self, x):
        x = self.layer(self.stem(x))
        if len(x) > 2:
            raise RuntimeError("at most two")
        return self.fc(x.mean((2, 3)))


def state(net):
    """All that resuming touches."""
    return [
        (m.__dict__.get("forward"), dict(m._forward_hooks), dict(m._forward_pre_hooks), m.training)
        for m in net.modules()
    ] + [p.requires_grad for p in net.parameters()]


@pytest.mark.parametrize("build", [Residual, Overwriting, Remembering, Failing])
def test_the_network_is_left_as_it_was(build):
    tap = tapped(build, "layer", Layout(), IMAGES[:2])
    net = tap.network.train()
    net.fc.weight.requires_grad_(False)
    for module in (net.stem, net.fc):
        module.forward = module.forward  # somebody's own
    before = state(net)
    if build is Failing:
        with pytest.raises(RuntimeError, match="at most two"):
            tap.resume(tap.acts.repeat(3, 1, 1, 1))
    else:
        logits = tap.resume(tap.acts)  # in evaluation mode
        assert torch.allclose(logits, tap.logits, rtol=1e-5, atol=1e-6)
        run = resumption.resumed(net, tap.layer, IMAGES[:1])
        assert (run.func is resumption._whole) is (build is Remembering)
    assert state(net) == before
    assert all(p.grad is None for p in net.parameters())


def test_chunks_are_of_one_image_and_bounded(monkeypatch):
    tap = tapped(vgg, "4", Layout())
    sizes = []
    tap.network[7].register_forward_hook(lambda _m, _i, output: sizes.append(len(output)))
    acts = variants(tap, 70)
    logits = tap.resume(acts)
    assert sizes == 3 * [1, 2, 32, 32, 6]  # recorded, tried twice over, then in chunks
    alone = tap[1:2].resume(acts[70:140])
    assert torch.equal(alone, logits[70:140])


def test_rows_are_of_their_images():
    """Several classes of one image, and images in another order."""
    torch.manual_seed(1)
    net = vgg().eval()
    pairs = torch.tensor([[2, 0], [0, 1], [2, 3]])
    shown = tap(net, IMAGES, pairs, [Layer("x", "4")])["x"]
    acts = variants(shown, 2)
    assert torch.allclose(shown.resume(acts), whole(shown, acts), rtol=1e-5, atol=1e-6)
    rows = {int(rows[0]): rows.tolist() for rows, _, _ in resumption.by_image(shown)}
    assert rows == {1: [1], 0: [0, 2]}


def test_what_does_not_fit_is_refused():
    tap = tapped(vgg, "4", Layout())
    with pytest.raises(ValueError, match=r"each of the tap's 3 rows.*not 4"):
        tap.resume(tap.acts[[0, 1, 2, 0]])
    with pytest.raises(ValueError, match=r"resumed from \(M,5,8,8\), not \(3, 4, 8, 8\)"):
        tap.resume(tap.acts[:, :4])
    assert len(tap.resume(tap.acts[:0])) == 0


def test_logits_that_are_no_numbers_do_not_slow_the_rest():
    tap = tapped(vgg, "4", Layout())
    with torch.no_grad():
        tap.network[7].bias[0] = torch.nan
    assert resumption.resumed(tap.network, tap.layer, IMAGES[:1]).func is resumption._from_layer


def of_torchvision(name):
    """The network's class, narrow."""
    models = torchvision.models
    if name == "resnet":
        return models.ResNet(models.resnet.BasicBlock, [1, 2, 1, 1], num_classes=6)
    if name == "densenet":
        return models.DenseNet(8, (2, 2, 2), 8, num_classes=6)
    if name == "swin":
        return models.SwinTransformer([4, 4], 16, [2, 2], [2, 4], [4, 4], num_classes=6)
    size = {"num_layers": 2, "num_heads": 2, "hidden_dim": 32, "mlp_dim": 64}
    net = models.VisionTransformer(64, 16, num_classes=6, **size)
    nn.init.normal_(net.heads.head.weight)
    return net


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "path", "layout"),
    [
        ("resnet", "layer2", Layout()),
        ("resnet", "layer2.1.bn1", Layout()),  # overwritten by a ReLU in place
        ("densenet", "features.denseblock2.denselayer2.conv1", Layout()),
        ("densenet", "features.norm5", Layout()),  # overwritten by a function
        ("swin", "features.3", Layout("nhwc")),
        ("swin", "features.3.1.norm1", Layout("nhwc")),
        ("vit", "encoder.layers.encoder_layer_0", Layout("nlc", 1, (16, 16))),
        ("vit", "encoder.layers.encoder_layer_1.ln_1", Layout("nlc", 1, (16, 16))),
    ],
)
def test_torchvision_s_networks(name, path, layout):
    images = torch.rand(2, 3, 64, 64, generator=torch.manual_seed(3))
    tap = tapped(lambda: of_torchvision(name), path, layout, images)
    acts = variants(tap, 2)
    expected = whole(tap, acts)
    assert (expected - tap.logits.repeat_interleave(2, 0)).abs().max() > 1e-3
    assert torch.allclose(tap.resume(acts), expected, rtol=1e-4, atol=1e-5)
    run = resumption.resumed(tap.network, tap.layer, images[:1])
    assert run.func is resumption._from_layer
    assert run.args[-1] is False
