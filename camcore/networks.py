"""Networks ready to be asked or trained: module, layers, preprocessing, weights' fingerprint."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from camx.camcore import plugins
from camx.camcore.groups import Group, scaled
from camx.camcore.spec import Build, Preprocessing, Spec, modules_of
from camx.camcore.taps import Layer, frozen
from camx.camcore.weights import locate, preprocessed, read_weights, sha256, shipped

MODELS = "camx.camcore.models"
SEGMENTERS = "camx.camcore.segmenters"
IMAGENET_CLASSES = 1000
State = Mapping[str, Tensor]


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
        """``(N,3,H,W) uint8`` RGB on any device to what the module takes, on its device.

        Channels stay first: last, they take a sixth less time on a CPU, but rounding flips so many
        max-pool winners that pixels of shallow maps move by over a grey level (1.2 % of S1's).
        """
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
            listed = f"{', '.join(self.layers)} (or a block such as layer3[-2])"
            raise ValueError(f"unknown layer {name!r} of {self.name}; known: {listed}")
        path, index = self.layers[block[1]].activation, int(block[2])
        stage = self.module.get_submodule(path)
        count = len(stage) if isinstance(stage, nn.Sequential) else 0
        if not -count <= index < count:
            places = f", 0..{count - 1} or -{count}..-1" if count else ""
            raise ValueError(f"{name!r}: {block[1]} of {self.name} has {count} blocks{places}")
        return Layer(name, f"{path}.{index % count}")


@dataclass(frozen=True)
class Start:
    """A network about to be trained: parameters, from `init`, a file's `sha256`, ask for gradients.

    `groups` gives a learning rate's parameter groups, new layers learning faster
    (`camcore.groups`). `classes` is how many the network tells apart.
    """

    name: str
    module: nn.Module
    input_size: int
    preprocessing: Preprocessing
    init: str
    sha256: str
    groups: Callable[[float], list[Group]] = field(repr=False)
    classes: int


def _count(axes: Mapping[str, int], state: State) -> int:
    """The number of classes of weights by their head's tensors; 0 if they hold none of them."""
    held = (state[k].shape[a] for k, a in axes.items() if k in state and state[k].ndim > a)
    return next(held, 0)


def _outputs(module: nn.Module, input_size: int) -> int:
    """The number of classes of a network that is built with its own: of an empty image's logits."""
    with torch.no_grad(), frozen(module):
        return module(torch.zeros(1, 3, input_size, input_size)).shape[1]


def _filled(module: nn.Module, state: State, path: Path, name: str) -> nn.Module:
    """The module with these weights in place of its own. `ValueError` if they do not fit."""
    expected = module.state_dict()
    counters = [k for k in expected if k.endswith("num_batches_tracked")]
    # Files of old torch have none. Each needs one of its own, for it counts in place.
    state = {**{k: torch.zeros((), dtype=torch.long) for k in counters}, **state}
    wrong = [f"{k} is missing" for k in expected if k not in state]
    wrong += [f"{k} is not part of {name}" for k in state if k not in expected]
    shapes = [(k, tuple(state[k].shape), tuple(v.shape)) for k, v in expected.items() if k in state]
    wrong += [f"{k} is {shape}, expected {right}" for k, shape, right in shapes if shape != right]
    infinite = [k for k, v in state.items() if not v.isfinite().all()]
    wrong += [f"{k} holds values that are not finite" for k in infinite]
    if wrong:
        others = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise ValueError(f"{path}: weights do not fit {name}: {wrong[0]}{others}")
    module.load_state_dict(state, assign=True)
    return module


def _beginning(
    expected: State, state: State, axes: Mapping[str, int], classes: int, backbone: tuple[str, ...]
) -> dict[str, Tensor]:
    """The weights that training begins with, of a network built with `expected` ones.

    A head of another number of classes stays as built; with a backbone, so does all that the
    weights lack outside of it, and what else they hold is left out.
    """
    if _count(axes, state) != classes:
        head = modules_of(axes)
        state = {**state, **{k: v for k, v in expected.items() if k.startswith(head)}}
    if not backbone:
        return dict(state)
    rest = {k: v for k, v in expected.items() if not k.startswith(backbone)}
    fits = {k: v for k, v in state.items() if k in rest and v.shape == rest[k].shape}
    return {**{k: v for k, v in state.items() if k.startswith(backbone)}, **rest, **fits}


def _exact() -> None:
    """Full float32 and repeatable kernels on CUDA: a record depends on image and cell alone."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def _groups(spec: Spec, head: tuple[str, ...], module: nn.Module, lr: float) -> list[Group]:
    """The file's parameter groups, or `scaled` ones: new is all but the backbone, or the head."""
    if spec.groups:
        return spec.groups(module, lr)
    if spec.backbone:
        return scaled(module, lr, lambda name: not name.startswith(spec.backbone))
    return scaled(module, lr, lambda name: name.startswith(head))


def _plugin(name: str, package: str) -> tuple[str, Spec]:
    plugin = plugins.load(package, None, name)
    return plugin.name, Spec.of(plugin)


def spec(name: str, package: str = MODELS) -> Spec:
    """What the file of network `name`, a plug-in of `package`, declares."""
    return _plugin(name, package)[1]


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
    name, spec = _plugin(name, package)
    fallback = str(shipped(spec.init)) if spec.init else "none"
    init = label = init or ("IMAGENET1K_V1" if spec.weights is not None else fallback)
    digest, form = "", spec.form("model")
    build: Build = partial(spec.build, **spec.untrained)
    if init != "none":
        path, label, names = locate(spec, name, init, download)
        state, digest = read_weights(path), sha256(path)
        form = spec.form(preprocessed(path) or ("model" if names else preprocessing))
        state = spec.adopt(state) if spec.adopt else state
        build = spec.build_for(state)
    axes = spec.class_axes(build)
    torch.manual_seed(seed)
    module = build(classes)
    if init != "none":
        state = _beginning(module.state_dict(), state, axes, classes, spec.backbone)
        _filled(module, state, path, name)
    if not axes and _outputs(module, spec.input_size) != classes:
        raise ValueError(f"{name} ignores the number of classes it is built for, here {classes}")
    groups = partial(_groups, spec, modules_of(axes), module)
    return Start(name, module, spec.input_size, form, label, digest, groups, classes)


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
    every other network, and weights named from torchvision, keep their own:
    docs/protocol.md, section 1, "Input". What camx trained says what it was trained with.
    """
    name, spec = _plugin(name, package)
    path, label, names = locate(spec, name, weights, download)
    state = read_weights(path)
    build = spec.build_for(state)
    count = _count(spec.class_axes(build), state)
    with torch.device("meta"):  # nothing is initialised just to be overwritten
        module = build(count or IMAGENET_CLASSES)
    module = _filled(module, state, path, name).requires_grad_(False).eval()
    classes = count or _outputs(module, spec.input_size)
    if torch.device(device).type == "cuda":
        _exact()
    form = spec.form(preprocessed(path) or ("model" if names else preprocessing))
    if spec.weights is not None and classes == IMAGENET_CLASSES:
        names = names or tuple(spec.weights.DEFAULT.meta["categories"])
    layers = {layer: Layer(layer, *paths) for layer, paths in spec.layers.items()}
    module, digest = module.to(device), sha256(path)
    return Network(name, module, layers, spec.input_size, form, classes, label, digest, names)
