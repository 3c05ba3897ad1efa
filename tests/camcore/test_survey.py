import math

import pytest
import torch
from torch import nn

from camx.camcore import survey
from camx.camcore.layers import CHANNELS_FIRST, Layout


class Net(nn.Module):
    """A stem, a branch, a max-pool, a shared ReLU, a classifier; any picture."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, 1)
        self.act = nn.ReLU(inplace=True)
        self.branch = nn.Conv2d(4, 4, 3, 1, 1)
        self.pool = nn.MaxPool2d(2)
        self.deep = nn.Sequential(nn.Conv2d(4, 6, 1), self.act, nn.Dropout(0.5))
        self.last = nn.SiLU()
        self.unused = nn.Conv2d(4, 4, 1)
        self.fc = nn.Linear(6, 5)

    def forward(self, images):
        x = self.act(self.stem(images))
        x = self.pool(x + self.branch(x))
        return self.fc(self.last(self.deep(x)).mean((2, 3)))


def test_every_module_s_place():
    places = {p.path: p for p in survey.of(Net().eval(), 32).places}
    assert list(places) == ["stem", "branch", "pool", "deep.0", "act", "deep.2", "deep", "last"]
    assert places["stem"].grid == (16, 12)  # of 32 x 23 pixels
    assert places["deep"].reduction == 4
    assert places["stem"].sign == "signed"
    assert places["deep"].sign == ">= 0"
    assert places["last"].sign == ">= -0.28"
    assert places["act"].runs == 2
    assert [p for p, place in places.items() if place.leaf] == ["stem", "branch", "deep.0"]
    assert [p for p, place in places.items() if not place.cut] == ["branch"]
    assert places["deep"].tensor == places["deep.2"].tensor != places["last"].tensor
    assert places["deep"].depth == 0
    assert places["deep.2"].depth == 1


def test_the_next_pool_is_the_layer_s_follower():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(2), nn.Conv2d(4, 4, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip
    seen = survey.of(net, 32)
    assert seen.place("1").layer("S1").follower == "2"
    assert seen.place("1").layer().name == "1"
    assert seen.place("0").layer().follower is None
    assert seen.place("4") is None  # its places are gone
    assert seen.place("nothing") is None


def test_nothing_is_computed_and_nothing_changed():
    net = Net().train()
    state = {k: v.clone() for k, v in net.state_dict().items()}
    before = torch.get_rng_state()
    survey.of(net, 64)
    assert all(m.training for m in net.modules())
    assert all(p.requires_grad for p in net.parameters())
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert torch.equal(torch.get_rng_state(), before)
    assert survey.of(net, 64) is survey.of(net, 64)


def test_a_network_without_weights_is_surveyed_too():
    with torch.device("meta"):
        net = Net()
    assert [p.path for p in survey.of(net, 32).places][:2] == ["stem", "branch"]


class OnlySquares(nn.Module):
    """Refuses what is not square, and needs numbers."""

    def __init__(self, side):
        super().__init__()
        self.side, self.conv, self.fc = side, nn.Conv2d(3, 4, 2, 2), nn.Linear(4, 2)

    def forward(self, images):
        assert images.shape[-2:] == (self.side, self.side), "only squares"
        x = self.conv(images)
        if x.sum().item() > 1e9:
            raise ValueError
        return self.fc(x.mean((2, 3)))


def test_a_network_that_runs_only_on_a_cpu_and_on_squares():
    seen = survey.of(OnlySquares(32), 32)
    assert seen.size == (32, 32)
    assert seen.place("conv").grid == (16, 16)


def test_a_network_that_does_not_run_says_why():
    with pytest.raises(ValueError, match=r"does not run on a picture of 48 x 48.*only squares"):
        survey.of(OnlySquares(32), 48)


@pytest.mark.parametrize("answer", [lambda x: x.sum(), lambda x: None, lambda x: torch.ones(2, 3)])
def test_an_answer_without_logits_is_named(answer):
    class Odd(nn.Module):
        def forward(self, x):
            return answer(x)

    with pytest.raises(ValueError, match=r"does not run.*no logits \(N,K\)"):
        survey.of(Odd(), 32)


@pytest.mark.parametrize(
    ("shape", "size", "patches", "layout"),
    [
        ((2, 64, 56, 40), (224, 160), [], CHANNELS_FIRST),
        ((2, 56, 40, 64), (224, 160), [], Layout("nhwc")),
        ((2, 56, 40, 32), (224, 160), [], Layout("nhwc")),  # 40 x 32 is near a picture's form too
        ((2, 40, 56, 40), (224, 160), [], CHANNELS_FIRST),
        ((2, 768, 13, 9), (224, 160), [], CHANNELS_FIRST),  # unpadded
        ((2, 7, 7, 768), (224, 224), [], Layout("nhwc")),
        ((2, 768, 7, 7), (224, 224), [], CHANNELS_FIRST),
        ((2, 512, 7, 7), (224, 160), [], None),  # pooled to a square
        ((2, 512, 1, 1), (224, 160), [], None),
        ((3, 512, 7, 5), (224, 160), [], None),  # not of these pictures
        ((2, 30, 7), (224, 160), [], None),
        ((2, 141, 384), (224, 160), [(16, 16)], Layout("nlc", 1, (16, 16))),
        ((141, 2, 384), (224, 160), [(16, 16)], Layout("lnc", 1, (16, 16))),
        ((2, 140, 384), (224, 160), [], Layout("nlc", 0, (16, 16))),
        ((2, 145, 384), (224, 160), [(16, 16)], Layout("nlc", 5, (16, 16))),
        ((2, 1374, 384), (518, 518), [(14, 14)], Layout("nlc", 5, (14, 14))),
        ((2, 197, 768), (224, 224), [(16, 16)], Layout("nlc", 1, (16, 16))),
        ((2, 2240, 64), (224, 160), [], Layout("nlc", 0, (4, 4))),
        ((2, 16, 384), (224, 224), [], Layout("nlc", 0, (64, 64))),  # padded to 4 x 4
        ((2, 9, 384), (224, 224), [], Layout("nlc", 0, (64, 64))),
        ((2, 1, 768), (224, 160), [(16, 16)], None),
        ((2, 156, 384), (224, 160), [(16, 16)], None),  # sixteen before are too many
        ((2, 1000), (224, 160), [], None),
    ],
)  # fmt: skip
def test_layouts_by_their_shapes(shape, size, patches, layout):
    assert survey.layout_of(shape, size, patches) == layout


def test_shapes_are_of_the_input_s_own_size():
    assert survey.shapes(Net().eval(), 32)["stem"] == (survey.PICTURES, 4, 16, 16)
    assert survey.shapes(OnlySquares(32), 48) == {}


def test_a_bound_of_nothing_known():
    assert survey.of(Net(), 32).place("stem").bound == -math.inf


def test_the_classifier_of_a_network_without_leaves_is_nowhere():
    """All its parameters are its own: every place stands before it, however often modules run."""

    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.kernel, self.scores = (
                nn.Parameter(torch.rand(4, 3, 3, 3)), nn.Parameter(torch.rand(5, 4)),
            )  # fmt: skip
            self.act, self.last = nn.ReLU(), nn.SiLU()

        def forward(self, x):
            x = nn.functional.conv2d(x, self.kernel, stride=2)
            for _ in range(5):
                x = self.act(x)
            return self.last(x).mean((2, 3)) @ self.scores.T

    assert [p.path for p in survey.of(Bare(), 32).places] == ["act", "last"]
