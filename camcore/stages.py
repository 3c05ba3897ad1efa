"""Stages: the layers of any network, named by how much they reduce the picture.

A stage is all that a network computes at one reduction, with parameters: what only pools is none.
``S1`` reduces least. Its layer is, of the modules at that reduction and before the classifier
through which everything passes (a branch's do not count),

1. the last whose values cannot be far below 0, if half of the stage is done by then: VGG's last
   ReLU, a ResNet's last block, the expanded input of the next stage's inverted residual, the first
   activation of the next stage of a pre-activation network;
2. else the last that is not part of what leads on to the next stage or to the classifier
   (ConvNeXt's and Swin's stages);
3. of tokens that have others before them, the first norm in the last block: after that block, a
   network that classifies by its class token gives the picture's tokens no gradient.

Of several modules that hand on one tensor, the outermost.
"""

import math
from collections.abc import Sequence

from torch import nn

from camx.camcore import survey
from camx.camcore.layers import Layer
from camx.camcore.survey import Place, Survey

NEAR = -0.5  # SiLU, GELU and the hard swish stay above
# Modules that say nothing new: their input's values, or fewer of them.
IDLE = (
    nn.Identity, nn.Flatten, nn.modules.dropout._DropoutNd, nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd, nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
)  # fmt: skip
NORMS = ("norm", "ln")  # what norms are called in their classes' names
# Modules that reorder tokens (Hiera's): only where they are whole again do their places show.
SHUFFLING = ("Unroll",)


def of(module: nn.Module, input_size: int | tuple[int, int] = 224) -> dict[str, Layer]:
    """``{"S5": layer, "S4": ...}`` of any network, deepest first. `ValueError` if it has none."""
    places = table(module, input_size)
    return {name: place.layer(name) for name, place in places.items()}


def table(module: nn.Module, input_size: int | tuple[int, int] = 224) -> dict[str, Place]:
    """The places of a network's stages, by name, deepest first. `ValueError` if it has none."""
    seen = survey.of(module, input_size)
    by_reduction: dict[int, list[Place]] = {}
    for place in seen.places:
        by_reduction.setdefault(_reduction(place), []).append(place)
    shuffled = any(type(part).__name__ in SHUFFLING for part in module.modules())
    groups = []
    for reduction, members in sorted(by_reduction.items()):
        last = reduction == max(by_reduction)
        fitting = [p for p in members if not (shuffled and p.layout.tokens and not last)]
        tappable = [p for p in fitting if p.runs == 1 and not issubclass(p.kind, IDLE)]
        if tappable and any(p.leaf for p in fitting):
            groups.append(tappable)
    # What only a branch computes is no stage, but of networks that are all branches.
    groups = [group for group in groups if any(p.cut for p in group)] or groups
    if not groups:
        what = "no module of the network gives the picture's places"
        raise ValueError(f"{what}: (N,C,h,w), (N,h,w,C) or tokens; name one by --layer PATH")
    stages = [_layer(group, seen, module) for group in groups]
    return {f"S{n}": stages[n - 1] for n in range(len(stages), 0, -1)}


def _reduction(place: Place) -> int:
    return round(math.log2(place.reduction))


def _layer(members: Sequence[Place], seen: Survey, module: nn.Module) -> Place:
    """The place that stands for a stage; see above."""
    cuts = [p for p in members if p.cut] or members
    if sound := [p for p in cuts if p.bound >= NEAR and _late(p, members)]:
        return _outermost(sound[-1], members)
    streams = [p for p in cuts if not _leaving(p, members, seen)] or cuts
    if any(p.layout.prefix for p in streams):
        bare = [p for p in streams if p.layout.tokens and not p.layout.prefix]
        return _block_norm(members, module) or _outermost((bare or streams)[-1], members)
    return _outermost(streams[-1], members)


def _leaving(place: Place, members: Sequence[Place], seen: Survey) -> bool:
    """Whether a place is in a module that begins in its stage, holds little of it and ends outside.

    Such a module leads on: to the next stage, as a patch merging does, or to the classifier.
    """
    first, inside = min(p.begun for p in members), {p.path for p in members}
    leaves = [p.path for p in members if p.leaf]
    parts = place.path.split(".")
    for above in (".".join(parts[:at]) for at in range(1, len(parts))):
        held = sum(path.startswith(f"{above}.") for path in leaves)
        begins = above not in inside and seen.spans.get(above, (0, 0))[0] > first
        if begins and 2 * held < len(leaves):
            return True
    return False


def _late(place: Place, members: Sequence[Place]) -> bool:
    """Whether at least half of the stage's modules with parameters are done with this one."""
    orders = [p.order for p in members if p.leaf]
    return 2 * sum(order <= place.order for order in orders) >= len(orders)


def _outermost(place: Place, members: Sequence[Place]) -> Place:
    """The outermost of the modules that hand on this one's tensor."""
    return min((p for p in members if p.tensor == place.tensor), key=lambda p: p.depth)


def _is_norm(place: Place) -> bool:
    return place.leaf and any(word in place.kind.__name__.lower() for word in NORMS)


def _block_norm(members: Sequence[Place], module: nn.Module) -> Place | None:
    """The first norm of the last of a row of blocks; the block before it where it has none."""
    blocks = [p for p in members if p.layout.prefix and _in_a_row(p, module)]
    if not blocks:
        return None
    last = blocks[-1]
    inside = [p for p in members if p.begun > last.begun and p.order < last.order]
    first = min(inside, key=lambda p: p.begun, default=last)
    return first if _is_norm(first) else blocks[-2] if len(blocks) > 1 else None


def _in_a_row(place: Place, module: nn.Module) -> bool:
    """Whether a place is one of several modules of its kind in a list."""
    above = module.get_submodule(place.path.rpartition(".")[0])
    alike = [part for part in above.children() if type(part) is place.kind]
    return isinstance(above, nn.ModuleList | nn.Sequential) and len(alike) > 1
