"""Networks ready to be asked or trained: module, layers, preprocessing, weights' fingerprint."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from camx.camcore import adoption, beginnings, checkpoints, plugins, stages, survey, zoos
from camx.camcore.adoption import Adopted, State
from camx.camcore.building import Build, construct, drawn, offline, skeleton
from camx.camcore.groups import Group, scaled
from camx.camcore.imagenet import CLASSES as IMAGENET_CLASSES
from camx.camcore.layers import Layer
from camx.camcore.passes import frozen
from camx.camcore.plugins import Plugin
from camx.camcore.preprocessing import Preprocessing
from camx.camcore.spec import Spec, modules_of
from camx.camcore.suggestions import near
from camx.camcore.weights import initial, locate, preprocessed, sha256

MODELS = "camx.camcore.models"
SEGMENTERS = "camx.camcore.segmenters"


@dataclass(frozen=True)
class Network:
    """A frozen network in evaluation mode; `weights` is their name, `sha256` that of their file."""

    name: str
    module: nn.Module
    layers: Mapping[str, Layer]
    input_size: int
    preprocessing: Preprocessing
    classes: int
    weights: str
    sha256: str
    class_names: tuple[str, ...] = field(default=(), repr=False)

    def prepare(self, images: Tensor) -> Tensor:
        """``(N,3,H,W) uint8`` RGB on any device to what the module takes, on its device."""
        return self.preprocessing(images.to(next(self.module.parameters()).device))

    def has(self, name: str) -> bool:
        """Whether `layer` knows the name."""
        try:
            return bool(self.layer(name))
        except ValueError:
            return False

    def layer(self, name: str) -> Layer:
        """A named layer, or a block of one: ``layer3[-2]`` is the last but one of layer3's."""
        if name in self.layers:
            return self.layers[name]
        block = re.fullmatch(r"(.+)\[(-?\d+)\]", name)
        if not block or block[1] not in self.layers:
            return self._at(name)
        path, index = self.layers[block[1]].activation, int(block[2])
        stage = self.module.get_submodule(path)
        count = len(stage) if isinstance(stage, nn.Sequential) else 0
        if not -count <= index < count:
            places = f", 0..{count - 1} or -{count}..-1" if count else ""
            raise ValueError(f"{name!r}: {block[1]} of {self.name} has {count} blocks{places}")
        return Layer(name, f"{path}.{index % count}")

    def _at(self, path: str) -> Layer:
        """The layer at a module's path. `ValueError` if there is no such module, or no place."""
        if path not in dict(self.module.named_modules()):
            listed = f"{', '.join(self.layers)} (or a block such as layer3[-2], or a module's path)"
            listed += near(path, self.layers)
            raise ValueError(f"unknown layer {path!r} of {self.name}; known: {listed}")
        place = survey.of(self.module, self.input_size).place(path)
        if place is None:
            what = "its output does not hold the picture's places before the classifier"
            raise ValueError(f"module {path!r} of {self.name} is no layer: {what}")
        return place.layer()

    def table(self) -> dict[str, dict[str, str | None]]:
        """Its layers by name, as ``run.json`` keeps them: module, next pool, layout."""
        return {
            name: {"module": y.activation, "next": y.follower, "layout": str(y.layout)}
            for name, y in self.layers.items()
        }

    def deepest_first(self, names: Collection[str]) -> list[str]:
        """Layers by name in the network's order; blocks after their layer."""
        order = list(self.layers)
        bases = {name: name.partition("[")[0] for name in names}
        if all(base in order for base in bases.values()):
            return sorted(names, key=lambda name: (order.index(bases[name]), name))
        spans = survey.of(self.module, self.input_size).spans
        return sorted(names, key=lambda name: -spans[self.layer(name).activation][1])


@dataclass(frozen=True)
class Start:
    """A network about to be trained: parameters, from `init`, a file's `sha256`, ask for gradients.

    `groups` gives a learning rate's parameter groups, new layers learning faster
    (`camcore.groups.scaled`, whose rates it takes too). `classes` is how many the network tells
    apart. `new` are the tensors that the file has nothing for, `unused` those of the file that the
    network has no place for.
    """

    name: str
    module: nn.Module
    input_size: int
    preprocessing: Preprocessing
    init: str
    sha256: str
    groups: Callable[..., list[Group]] = field(repr=False)
    classes: int
    new: tuple[str, ...] = field(default=(), repr=False)
    unused: tuple[str, ...] = field(default=(), repr=False)


def _outputs(module: nn.Module, input_size: int) -> int:
    """The number of classes of a network that is built with its own: of an empty image's logits."""
    with torch.no_grad(), frozen(module):
        return module(torch.zeros(1, 3, input_size, input_size)).shape[1]


def layers_of(plugin: Plugin, spec: Spec, module: nn.Module) -> dict[str, Layer]:
    """The named layers: those declared, or the stages found (`stages`).

    `ValueError` for a module's path that a user's network has not.
    """
    if not spec.layers:
        return stages.of(module, spec.input_size)
    paths = dict(module.named_modules())
    for name, pair in spec.layers.items() if not plugin.shipped else ():
        for path in filter(None, pair):
            if path not in paths:
                top = ", ".join(name for name, _ in module.named_children())
                what = f"layer {name!r} is at {path!r}, where the network has no module"
                raise ValueError(f"{plugin.file}: {what}; at its top are: {top}")
    return {name: Layer(name, *pair) for name, pair in spec.layers.items()}


def exact() -> None:
    """Full float32 and repeatable kernels on CUDA: a record depends on image and cell alone."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def _groups(
    spec: Spec, head: tuple[str, ...], module: nn.Module, lr: float, **rates: Any
) -> list[Group]:
    """The file's parameter groups, or `scaled` ones: new is all but the backbone, or the head."""
    if spec.groups:
        return spec.groups(module, lr)
    if spec.backbone:
        return scaled(module, lr, lambda name: not name.startswith(spec.backbone), **rates)
    return scaled(module, lr, lambda name: name.startswith(head), **rates)


def declared(name: str, package: str, weights: str | None = None) -> tuple[Plugin, Spec]:
    """The plug-in or published network of that name, and what it declares."""
    if package == MODELS and plugins.reference(name)[0]:
        return zoos.load(name, weights)
    plugin = plugins.load(package, None, name)
    return plugin, Spec.of(plugin)


def spec(name: str, package: str = MODELS) -> Spec:
    """What the file of network `name`, a plug-in of `package`, declares."""
    return declared(name, package)[1]


def _adopted(plugin: Plugin, spec: Spec, path: Path, classes: int) -> Adopted:
    """What of a file's content the network's weights are. `ValueError` names the file."""
    content, expected = checkpoints.read(path), skeleton(spec.build, classes).state_dict()
    if spec.head and f"{spec.head}.weight" not in expected and not plugin.shipped:
        what = f"HEAD is {spec.head!r}, where the network has no weight"
        raise ValueError(f"{plugin.file}: {what}; it has {adoption.listed(expected)}")
    try:
        return adoption.adopt(content, expected, spec.adopt)
    except ValueError as error:
        raise ValueError(f"{path}: not plain weights: {error}") from error


def _form(spec: Spec, path: Path, named: bool, preprocessing: str, state: State) -> Preprocessing:
    """What weights want: what camx wrote with them, torchvision's, what they show, or as asked."""
    said = preprocessed(path) or ("model" if named else "")
    if not said and preprocessing == "paper" and spec.origin:
        said = spec.origin(state)
    return spec.form(said or preprocessing)


def _class_names(spec: Spec, classes: int) -> tuple[str, ...]:
    """The names that the file knows of so many classes."""
    named = spec.class_names
    if classes == IMAGENET_CLASSES and spec.weights is not None:
        named = named or spec.weights.DEFAULT.meta["categories"]
    return tuple(named) if len(named) == classes else ()


def start(
    name: str,
    init: str | None,
    classes: int,
    seed: int,
    download: bool = False,
    package: str = MODELS,
    preprocessing: str = "paper",
) -> Start:
    """Network `name` with `classes` outputs to be trained, weights torchvision's, a file's or none.

    The default is torchvision's first ImageNet weights, those of the papers; where it has none, the
    file's ``init`` or none. A head of another number of classes is new, and so is what the weights
    lack outside of the file's ``backbone``, both drawn with `seed`. `preprocessing`: see `load`.
    """
    plugin, spec = declared(name, package, init)
    init = label = init or initial(spec)
    if preprocessing == "caffe" and not spec.caffe_mean_bgr:
        raise ValueError(f"preprocessing is 'caffe', but {plugin.name} has no such form")
    digest, form = "", spec.form("model" if preprocessing == "paper" else preprocessing)
    build: Build = partial(spec.build, **spec.untrained)
    new: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    with offline(download):
        if init != "none":
            path, label, names = locate(spec, plugin.name, init, download, "--init")
            adopted, digest = _adopted(plugin, spec, path, classes), sha256(path)
            label = ": ".join(filter(None, (label, adopted.choice)))
            form = _form(spec, path, bool(names), preprocessing, adopted.original)
            build = spec.build_for(adopted.state)
        axes = spec.class_axes(build)
        torch.manual_seed(seed)
        module = construct(build, classes)
    if init != "none":
        state, expected = adopted.state, module.state_dict()
        try:
            begun = beginnings.of(expected, state, axes, classes, spec.backbone)
        except ValueError as error:
            what = f"weights do not fit {plugin.name}: {error}"
            raise ValueError(f"{path}: {what}") from None
        adoption.filled(module, begun, path, plugin.name)
        new, unused = (beginnings.lacking(of, state, begun) for of in (expected, state))
    if not axes and _outputs(module, spec.input_size) != classes:
        what = f"ignores the number of classes it is built for, here {classes}"
        raise ValueError(f"{plugin.name} {what}")
    groups = partial(_groups, spec, modules_of(axes), module)
    return Start(
        plugin.name, module, spec.input_size, form, label, digest, groups, classes, new, unused
    )


def load(
    name: str,
    weights: str | None = None,
    preprocessing: str = "model",
    device: str = "cpu",
    download: bool = False,
    package: str = MODELS,
) -> Network:
    """Network `name` (a plug-in of `package`) with weights: a file, torchvision's, its default.

    `preprocessing` ``paper`` gives weights from a file the network's Caffe form, where it has one;
    every other network, and weights that torchvision publishes, keep their own:
    docs/protocol.md, section 1, "Input". What camx trained says what it was trained with.
    """
    plugin, spec = declared(name, package, weights)
    path, label, names = locate(spec, plugin.name, weights, download)
    with offline(download):
        adopted = _adopted(plugin, spec, path, IMAGENET_CLASSES)
        build = spec.build_for(adopted.state)
        count = beginnings.count(spec.class_axes(build), adopted.state)
        # What a file of somebody's makes besides parameters may need numbers: buffers not saved.
        make = skeleton if plugin.shipped else drawn
        module = make(build, count or IMAGENET_CLASSES)
    module = adoption.filled(module, adopted.state, path, plugin.name).requires_grad_(False).eval()
    classes = count or _outputs(module, spec.input_size)
    if torch.device(device).type == "cuda":
        exact()
    form = _form(spec, path, bool(names), preprocessing, adopted.original)
    names = names or _class_names(spec, classes)
    label = ": ".join(filter(None, (label, adopted.choice)))
    layers = layers_of(plugin, spec, module) if package == MODELS else {}
    return Network(
        plugin.name, module.to(device), layers, spec.input_size, form,
        classes, label, sha256(path), names,
    )  # fmt: skip
