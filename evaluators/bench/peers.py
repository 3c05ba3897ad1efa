"""A map's time beside other packages', used as their own pages use them: layer by layer."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from torch import Tensor, nn

from camx.camcore import views
from camx.camcore.networks import Network
from camx.evaluators import grids, plan, protocols
from camx.evaluators.bench import subjects, turns
from camx.evaluators.bench.turns import Run, Timing
from camx.evaluators.tasks import localize

INSTALL = "pip install 'camx[bench]'"
Make = Callable[[Any, nn.Module, str, Tensor, Tensor], Any]


@dataclass(frozen=True)
class Peer:
    """A package that makes maps: `classes` are where its methods are, by camx's names of them.

    ``make(class, network, a module's path, images, targets)`` gives one method's maps of a batch.
    """

    name: str
    module: str
    classes: Mapping[str, str]
    make: Make


def _grad_cam(kind: Any, module: nn.Module, path: str, images: Tensor, targets: Tensor) -> Any:
    target = import_module("pytorch_grad_cam.utils.model_targets").ClassifierOutputTarget
    with kind(module, [module.get_submodule(path)]) as cam:
        return cam(images, [target(label) for label in targets.tolist()])


def _torchcam(kind: Any, module: nn.Module, path: str, images: Tensor, targets: Tensor) -> Any:
    with kind(module, path) as cam:
        return cam(targets.tolist(), module(images))


def _captum(kind: Any, module: nn.Module, path: str, images: Tensor, targets: Tensor) -> Any:
    cam = kind(module, module.get_submodule(path))
    return cam.attribute(images, target=targets, relu_attributions=True)


PEERS = (
    Peer("grad-cam", "pytorch_grad_cam", {
        "gradcam": "pytorch_grad_cam.GradCAM", "gradcampp": "pytorch_grad_cam.GradCAMPlusPlus",
        "layercam": "pytorch_grad_cam.LayerCAM",
    }, _grad_cam),
    Peer("torchcam", "torchcam", {
        "gradcam": "torchcam.methods.GradCAM", "gradcampp": "torchcam.methods.GradCAMpp",
        "layercam": "torchcam.methods.LayerCAM",
    }, _torchcam),
    Peer("captum", "captum", {"gradcam": "captum.attr.LayerGradCam"}, _captum),
)  # fmt: skip


def installed() -> list[Peer]:
    """The packages that can be imported."""
    return [peer for peer in PEERS if find_spec(peer.module)]


def absent(there: Sequence[Peer]) -> str:
    """A sentence that names the packages that are not there; nothing where all are."""
    names = [peer.name for peer in PEERS if peer not in there]
    return f"not installed: {', '.join(names)} ({INSTALL})" if names else ""


def versions(there: Sequence[Peer]) -> dict[str, str]:
    """Their versions."""
    return {peer.name: version(peer.name) for peer in there}


def every(peer: Peer, module: nn.Module, paths: Sequence[str], images: Tensor, to: Tensor) -> None:
    """All its methods' maps at all layers, a pass for each method and layer."""
    for where in peer.classes.values():
        package, _, name = where.rpartition(".")
        kind = getattr(import_module(package), name)
        for path in paths:
            peer.make(kind, module, path, images, to)


def camx_of(methods: Sequence[str]) -> str:
    """What camx's own maps of these methods are called."""
    return f"camx: {', '.join(methods)}"


def ours(network: Network, methods: Sequence[str], batch: int, device: str) -> grids.Plan:
    """How camx makes the same maps: of one squashed view, by the layers' own gradients."""
    how = protocols.load("single", "localize", localize.Protocol, {"gradient": "own"})
    cells = plan.product(network, plan.Selection(tuple(methods), tuple(network.layers)))
    return grids.plan(network, how, cells, (), device, batch)


def measured(
    network: Network, there: Sequence[Peer], batch: int, rounds: int, seed: int, device: str,
    frozen: bool = False,
) -> Timing:  # fmt: skip
    """Seconds of each package's maps of a batch at all layers, and of camx's of the same methods.

    A peer's parameters ask for gradients, as a network does that nobody has told otherwise; with
    `frozen` they do not, and its input does.
    """
    layers = list(network.layers.values())
    paths = [layer.activation for layer in layers]
    targets = subjects.targets(batch, network.classes)
    runs: dict[str, Run] = {}
    units: dict[str, int] = {}
    against: dict[str, str] = {}
    module = copy.deepcopy(network.module).requires_grad_(not frozen)
    for peer in there:
        methods, name = list(peer.classes), f"{peer.name}: {', '.join(peer.classes)}"
        making, base = ours(network, methods, batch, device), camx_of(methods)
        pictures = subjects.images(batch, making.view.grid, seed)
        inputs = network.prepare(views.cut(pictures, making.view)).requires_grad_(frozen)
        runs[base] = partial(grids.image_maps, making, pictures, targets)
        runs[name] = partial(every, peer, module, paths, inputs, targets.to(device))
        units |= dict.fromkeys((base, name), batch * len(layers) * len(methods))
        against |= {base: base, name: base}
    return Timing(turns.taken(runs, rounds, subjects.settling(device)), units, against)
