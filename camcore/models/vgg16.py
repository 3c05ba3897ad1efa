"""VGG16, configuration D: thirteen 3x3 convolutions in five stages, each ended by a max-pool."""

import re
from collections.abc import Mapping
from itertools import pairwise

from torch import Tensor, nn
from torchvision.models import VGG16_Weights, vgg16

from camx.camcore.models._vgg import LAYERS as LAYERS
from camx.camcore.spec import Spec

TITLE = "VGG16"
SOURCE = "Simonyan and Zisserman 2015, configuration D; torchvision's vgg16"
INPUT_SIZE = 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# The paper's network: Caffe's weights in torchvision's layout want BGR, 0-255, minus these means.
CAFFE_MEAN_BGR = (104.00699, 116.66877, 122.67892)


def build(classes: int = 1000) -> nn.Module:
    """The network without weights."""
    return vgg16(num_classes=classes, init_weights=False)


# What the linear layers are called: by torchvision, where dropouts stand first (the Caffe weights
# that people have), by timm, by Caffe.
DENSE = {
    "fc6": ("classifier.0", "classifier.1", "pre_logits.fc1", "fc6", "head.fc6"),
    "fc7": ("classifier.3", "classifier.4", "pre_logits.fc2", "fc7", "head.fc7"),
    "fc8": ("classifier.6", "head.fc", "fc8"),
}
CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # of torchvision's features
State = Mapping[str, Tensor]


def _number(name: str) -> list[tuple[bool, int | str]]:
    """A name's order: its numbers by size, so that features.10 comes after features.2."""
    return [(p.isdigit(), int(p) if p.isdigit() else p) for p in re.split(r"(\d+)", name) if p]


def convolutions(state: State) -> dict[str, str]:
    """``{"features.0": name in the file}`` of thirteen 3x3 convolutions in a row, or nothing.

    Whatever their names are, their numbers give the order and their channels make a chain.
    """
    if any(name.endswith("running_mean") for name in state):
        return {}  # another network: VGG16 has no batch norms
    weights = {k.removesuffix(".weight"): v for k, v in state.items() if k.endswith(".weight")}
    names = sorted((n for n, w in weights.items() if w.shape[2:] == (3, 3)), key=_number)
    first = next((at for at, name in enumerate(names) if weights[name].shape[1] == 3), 0)
    row = names[first : first + len(CONVOLUTIONS)]
    sides = [weights[name].shape[:2] for name in row]
    linked = all(before[0] == after[1] for before, after in pairwise(sides))
    if len(row) < len(CONVOLUTIONS) or not linked:
        return {}
    return {f"features.{at}": name for at, name in zip(CONVOLUTIONS, row)}


def dense(state: State) -> dict[str, str]:
    """``{"fc6": name in the file}`` of fc6, fc7 and fc8, as far as they are there.

    By the names that packages give them, or else by their shapes: fc6 takes all cells, or 3x3 of
    them, fc7 is square.
    """
    weights = {k.removesuffix(".weight"): v for k, v in state.items() if k.endswith(".weight")}
    trunk = convolutions(state)
    rest = [name for name in sorted(weights, key=_number) if name not in trunk.values()]
    width = weights[trunk["features.28"]].shape[0] if trunk else 0
    layers: dict[str, str] = {}
    for layer, names in DENSE.items():
        free = [n for n in rest if n not in layers.values() and weights[n].ndim > 1]
        named = [name for name in names if name in free]
        candidates = [*named, *(free if trunk else ())]
        fitting = [name for name in candidates if _suits(layer, weights[name], width)]
        if not (fitting or named):
            break
        layers[layer] = (fitting or named)[0]
        width = weights[layers[layer]].shape[0]
    return layers


def _suits(layer: str, weight: Tensor, width: int) -> bool:
    """Whether a weight may be this layer's, behind `width` channels (0: not told)."""
    outputs, inputs, *sides = weight.shape
    if layer == "fc6" and not sides:
        return inputs == 49 * width if width else inputs % 49 == 0
    if layer == "fc6":
        return sides in ([7, 7], [3, 3]) and inputs == (width or inputs)
    square = layer != "fc7" or outputs == inputs
    return square and inputs == width and sides in ([], [1, 1])


def renamed(state: State, layers: Mapping[str, str]) -> dict[str, Tensor]:
    """The weights with layers under other names, ``{new: old}``."""
    new = {old: new for new, old in layers.items()}
    names = {name: name.rpartition(".") for name in state}
    return {
        f"{new[layer]}.{kind}" if layer in new else name: state[name]
        for name, (layer, _, kind) in names.items()
    }


def adopt(state: State) -> dict[str, Tensor]:
    """VGG16's weights of any package under torchvision's names; fc6 to fc8 are matrices."""
    places = dict(zip(DENSE, ("classifier.0", "classifier.3", "classifier.6")))
    layers = {places[layer]: name for layer, name in dense(state).items()}
    adopted = renamed(state, {**convolutions(state), **layers})
    flat = {f"{place}.weight" for place in layers}
    return {k: v.flatten(1) if k in flat else v for k, v in adopted.items()}


def origin(state: State) -> str:
    """``model`` of timm's names, whose weights are torchvision's; ``caffe`` of Caffe's."""
    if any(name.startswith("pre_logits.") for name in state):
        return "model"
    caffe = ("conv1_1.weight", "classifier.1.weight", "fc6.weight")
    return "caffe" if any(name in state for name in caffe) else ""


SPEC = Spec(
    build=build,
    input_size=INPUT_SIZE,
    mean=MEAN,
    std=STD,
    layers=LAYERS,
    weights=VGG16_Weights,
    head="classifier.6",
    caffe_mean_bgr=CAFFE_MEAN_BGR,
    adopt=adopt,
    origin=origin,
)
