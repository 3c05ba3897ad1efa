"""Layouts: every form of an output is (N,C,h,w) of the picture's places, there and back."""

import pytest
import torch
from torch import nn

from camx.camcore.layers import Layer, Layout
from camx.camcore.taps import tap

SIZE = (24, 40)  # pixels: 3 x 5 tokens of 8
ACTS = torch.randn(2, 7, 3, 5, generator=torch.manual_seed(0))
TOKENS = (8, 8)


def output_of(layout, acts):
    """The activations in a layout, place by place; what is of no place is 100, 101, ..."""
    count, channels, h, w = acts.shape
    if layout.order == "nchw":
        return acts.clone()
    if layout.order == "nhwc":
        out = acts.new_empty(count, h, w, channels)
        for i in range(h):
            for j in range(w):
                out[:, i, j] = acts[:, :, i, j]
        return out
    out = acts.new_empty(count, layout.prefix + h * w, channels)
    for at in range(layout.prefix):
        out[:, at] = 100 + at
    for i in range(h):
        for j in range(w):
            out[:, layout.prefix + i * w + j] = acts[:, :, i, j]
    return out.transpose(0, 1) if layout.order == "lnc" else out


LAYOUTS = [
    Layout(),
    Layout("nhwc"),
    Layout("nlc", 0, TOKENS),
    Layout("nlc", 2, TOKENS),
    Layout("lnc", 1, TOKENS),
    Layout("nlc", 1, (12, 8)),  # a token is not square
]


def acts_of(layout):
    return ACTS[:, :, :2] if layout.stride == (12, 8) else ACTS


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda y: f"{y.order} {y.prefix} {y.stride}")
def test_there_and_back(layout):
    acts = acts_of(layout)
    output = output_of(layout, acts)
    assert torch.equal(layout.spatial(output, SIZE), acts)
    again = layout.placed(acts + 1, output)
    assert torch.equal(again, output_of(layout, acts + 1))
    assert again.shape == output.shape


@pytest.mark.parametrize(
    ("stride", "size", "grid"),
    [
        ((8, 8), (24, 40), (3, 5)),
        ((8, 8), (40, 24), (5, 3)),
        ((16, 8), (64, 64), (4, 8)),
        ((14, 14), (224, 230), (16, 16)),  # what does not fill a token is left over
        ((16, 16), (8, 40), (1, 2)),
    ],
)
def test_a_grid_is_the_picture_s(stride, size, grid):
    assert Layout("nlc", 1, stride).grid(size) == grid


@pytest.mark.parametrize(
    ("layout", "shape", "words"),
    [
        (Layout("nlc", 1, TOKENS), (2, 15, 7), "expected 1 and 3 x 5 tokens of 24 x 40 pixels"),
        (Layout("nlc", 0, TOKENS), (2, 16, 7), "expected 3 x 5 tokens of 24 x 40 pixels"),
        (Layout("lnc", 5, TOKENS), (15, 2, 7), "expected 5 and 3 x 5 tokens of 24 x 40 pixels"),
    ],
)
def test_another_number_of_tokens_is_refused(layout, shape, words):
    with pytest.raises(ValueError, match=words) as error:
        layout.spatial(torch.zeros(shape), SIZE)
    assert str(error.value).startswith(f"gives {shape}")


def test_layouts_in_words():
    assert str(Layout()) == "channels first"
    assert str(Layout("nhwc")) == "channels last"
    assert str(Layout("nlc", 5, TOKENS)) == "tokens, 5 before"
    assert [y.tokens for y in LAYOUTS] == [False, False, True, True, True, True]


class Network(nn.Module):
    """Its ``body`` gives a layout's form; what follows sees all of it, at each place otherwise."""

    def __init__(self, layout, several=False):
        super().__init__()
        torch.manual_seed(1)
        self.layout, self.several = layout, several
        stride = layout.stride if layout.tokens else TOKENS
        self.stem = nn.Conv2d(3, 7, stride, stride)
        self.body = nn.Tanh()
        self.weight = nn.Parameter(torch.randn(4, 7, *acts_of(layout).shape[2:]))
        self.prefix = nn.Parameter(torch.randn(4, 7))
        if several:
            self.body.register_forward_hook(lambda _m, _i, output: (output, None))

    def after(self, output):
        """Logits ``(N,4)``, neither of a class's rows independent of the prefix."""
        acts = self.layout.spatial(output, SIZE)
        logits = torch.einsum("nchw,kchw->nk", acts, self.weight).sin()
        if self.layout.prefix:
            first = output[0] if self.layout.order == "lnc" else output[:, 0]
            logits = logits * (first @ self.prefix.T).cos()
        return logits

    def forward(self, images):
        output = self.body(output_of(self.layout, self.stem(images)))
        return self.after(output[0] if self.several else output)


def by_hand(net, images, rows):
    """Activations and gradients of (image, class) rows, one image and class at a time."""
    acts, grads = [], []
    for image, label in rows:
        output = torch.tanh(output_of(net.layout, net.stem(images[image : image + 1])))
        output = output.detach().requires_grad_()
        net.after(output)[0, label].backward()
        acts.append(net.layout.spatial(output.detach(), SIZE)[0])
        grads.append(net.layout.spatial(output.grad, SIZE)[0])
    return torch.stack(acts), torch.stack(grads)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda y: f"{y.order} {y.prefix} {y.stride}")
@pytest.mark.parametrize("rows", [[(0, 2), (1, 0)], [(1, 3), (0, 0), (1, 1), (0, 3), (1, 3)]])
def test_taps_of_every_layout(layout, rows):
    net = Network(layout)
    images = torch.randn(2, 3, *SIZE, generator=torch.manual_seed(2))
    targets = torch.tensor([c for _, c in rows] if len(rows) == 2 else rows)
    shown = tap(net, images, targets, [Layer("x", "body", layout=layout)])["x"]
    acts, grads = by_hand(net, images, rows)
    assert shown.acts.shape == shown.grads.shape == (len(rows), *acts_of(layout).shape[1:])
    assert torch.allclose(shown.acts, acts, atol=1e-6)
    assert torch.allclose(shown.grads, grads, atol=1e-5)
    assert shown.origin.tolist() == [image for image, _ in rows]


def test_tokens_may_come_with_others():
    """A module's first tensor, where it gives several."""
    layout = Layout("nlc", 1, TOKENS)
    images = torch.randn(2, 3, *SIZE, generator=torch.manual_seed(2))
    layers, targets = [Layer("x", "body", layout=layout)], torch.tensor([1, 2])
    one = tap(Network(layout), images, targets, layers)["x"]
    several = tap(Network(layout, several=True), images, targets, layers)["x"]
    assert torch.equal(one.acts, several.acts)
    assert torch.equal(one.grads, several.grads)


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        (Layout("nlc", 1, (4, 4)), "expected 1 and 6 x 10 tokens"),
        (Layout(), "expected one tensor"),
        (Layout("nhwc"), "expected one tensor"),
        (Layout("lnc", 1, TOKENS), "expected one tensor"),
    ],
)
def test_a_layer_of_another_layout_is_refused(layout, words):
    net = Network(Layout("nlc", 1, TOKENS))
    with pytest.raises(ValueError, match=words) as error:
        tap(
            net, torch.zeros(2, 3, *SIZE), torch.tensor([1, 2]), [Layer("x", "body", layout=layout)]
        )
    assert str(error.value).startswith("module 'body' gives (2, 16, 7)")


def test_a_padded_convolution_gives_a_token_for_what_is_left_over():
    layout = Layout("nlc", 0, (64, 64))
    assert layout.grid((224, 160)) == (3, 2)
    assert layout.grid((224, 160), 12) == (4, 3)
    assert layout.grid((224, 160), 7) == (3, 2)
    assert layout.spatial(torch.zeros(1, 12, 5), (224, 160)).shape == (1, 5, 4, 3)
    assert layout.spatial(torch.zeros(1, 6, 5), (224, 160)).shape == (1, 5, 3, 2)
