import pytest
import torch
import torchvision
from torch import nn

from camx.camcore import stages
from camx.camcore.models import resnet50, vgg16


def of_torchvision(name, **options):
    with torch.device("meta"):
        return torchvision.models.get_model(name, **options)


def paths(module, side=224):
    return {name: place.path for name, place in stages.table(module, side).items()}


def test_vgg16_has_the_paper_s_stages_with_their_pools():
    layers = stages.of(of_torchvision("vgg16"))
    assert {name: (y.activation, y.follower) for name, y in layers.items()} == vgg16.LAYERS
    assert list(layers) == ["S5", "S4", "S3", "S2", "S1"]


def test_a_resnet_has_its_four_and_the_stem():
    expected = [*(path for path, _ in resnet50.LAYERS.values()), "relu"]
    assert list(paths(of_torchvision("resnet50")).values()) == expected


STAGES = {
    # Rule 1: the expansion of the next stage's first block, and the head's activation.
    "mobilenet_v2": (
        "features", "features.14.conv.0", "features.7.conv.0", "features.4.conv.0",
        "features.2.conv.0",
    ),
    # SiLU and the hard swish stay near 0.
    "efficientnet_b0": (
        "features", "features.6.0.block.0", "features.4.0.block.0", "features.3.0.block.0",
        "features.2.0.block.0",
    ),
    "mobilenet_v3_large": (
        "features", "features.13.block.0", "features.7.block.0", "features.4.block.0",
        "features.2.block.0",
    ),
    # Rule 1 after a stage of signed sums.
    "densenet121": (
        "features", "features.transition3.relu", "features.transition2.relu",
        "features.transition1.relu", "features.relu0",
    ),
    # Rule 2: the norm and the convolution that lead on to the next stage are not part of one.
    "convnext_tiny": ("features", "features.5", "features.3", "features.1"),
    # What the classifier gives is none.
    "squeezenet1_0": ("features", "features.10", "features.5", "features.1"),
    # A branch's convolution before its stride makes no stage.
    "shufflenet_v2_x1_0": ("conv5", "stage3", "stage2", "conv1"),
    # Channels last.
    "swin_t": ("permute", "features.5", "features.3", "features.1"),
    # Rule 3.
    "vit_b_16": ("encoder.layers.encoder_layer_11.ln_1",),
}  # fmt: skip


@pytest.mark.parametrize("name", STAGES)
def test_stages_of_families(name):
    table = paths(of_torchvision(name))
    count = len(STAGES[name])
    assert table == dict(zip([f"S{n}" for n in range(count, 0, -1)], STAGES[name]))


class Block(nn.Module):
    """A residual block whose sum is signed, an activation before each convolution."""

    def __init__(self, width, out, stride=1):
        super().__init__()
        self.norm, self.act = nn.BatchNorm2d(width), nn.ReLU()
        self.conv = nn.Conv2d(width, out, 3, stride, 1)
        self.skip = nn.Conv2d(width, out, 1, stride) if stride > 1 else None

    def forward(self, x):
        y = self.act(self.norm(x))
        return self.conv(y) + (self.skip(y) if self.skip else x)


class PreActivation(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.one = nn.Sequential(Block(8, 8), Block(8, 8))
        self.two = nn.Sequential(Block(8, 16, 2), Block(16, 16))
        self.fc = nn.Linear(16, 4)

    def forward(self, images):
        return self.fc(self.two(self.one(self.stem(images))).mean((2, 3)))


def test_pre_activation_blocks_give_the_next_stage_s_first_activation():
    """Through it everything passes, and it is not negative; the deepest has only its sums."""
    assert paths(PreActivation(), 64) == {"S2": "two", "S1": "two.0.act"}


def test_an_activation_early_in_its_stage_is_not_its_layer():
    """As in LeViT's downsampling: residual blocks follow it."""
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), Block(8, 8), Block(8, 8), Block(8, 8),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4),
    )  # fmt: skip
    assert paths(net, 64) == {"S1": "4"}


def test_a_norm_that_ends_the_last_stage_is_its_layer():
    """Its average is what is classified."""
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), Block(8, 8), nn.BatchNorm2d(8),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4),
    )  # fmt: skip
    assert paths(net, 64) == {"S1": "2"}


def test_a_module_that_runs_twice_is_no_layer():
    relu = nn.ReLU()
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), relu, nn.Conv2d(8, 8, 1), relu,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4),
    )  # fmt: skip
    assert paths(net, 64) == {"S1": "2"}


def test_a_network_without_places_says_so():
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 8), nn.Linear(8, 2))
    with pytest.raises(ValueError, match=r"gives the picture's places.*--layer PATH"):
        stages.of(net, (32, 32))


def test_hiera_s_shuffled_tokens_are_left_out():
    """Only where all of its units are pooled do its tokens stand row by row."""
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        net = timm.create_model("hiera_tiny_224", num_classes=7)
    assert paths(net) == {"S2": "blocks.11", "S1": "patch_embed.proj"}


def test_the_network_in_the_box_has_the_layers_that_the_rule_finds():
    from camx.camcore.models import efficientnet_lite0

    with torch.device("meta"):
        net = efficientnet_lite0.SPEC.build(1000)
    declared = {name: path for name, (path, _) in efficientnet_lite0.SPEC.layers.items()}
    assert paths(net) == declared
