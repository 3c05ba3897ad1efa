"""A network ready to be asked: module, named layers, preprocessing and weights with their fingerprint."""

import hashlib
import pickle
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from camcore import plugins
from camcore.groups import Group, scaled
from camcore.taps import Layer

MODELS = "camcore.models"
SEGMENTERS = "camcore.segmenters"
NESTED = ("state_dict", "model", "model_state_dict")  # where training scripts keep the weights in a checkpoint


@dataclass(frozen=True)
class Preprocessing:
    """``x -> (x * scale - mean) / std`` on RGB bytes 0-255, channels reversed first if `bgr`."""

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float = 1 / 255
    bgr: bool = False

    def __call__(self, images: Tensor) -> Tensor:
        """``(N,3,H,W) uint8`` RGB to the network's float input of the same shape."""
        mean, std = (torch.tensor(v, device=images.device).view(3, 1, 1) for v in (self.mean, self.std))
        images = images.flip(1) if self.bgr else images
        return (images.float() * self.scale - mean) / std


@dataclass(frozen=True)
class Network:
    """A frozen network in evaluation mode.

    `weights` names the weights, `sha256` is their file's; `class_names` may be empty.
    """

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

        Channels stay first: channels last takes a sixth less time on a CPU, but its rounding flips so many
        max-pool winners that a shallow map's pixels move by more than a grey level (1.2 % of S1's).
        """
        return self.preprocessing(images.to(next(self.module.parameters()).device))

    def has(self, name: str) -> bool:
        """Whether `layer` knows the name."""
        try:
            return bool(self.layer(name))
        except ValueError:
            return False

    def layer(self, name: str) -> Layer:
        """A named layer, or a block of one made of several: ``layer3[-2]`` is the last but one of layer3's."""
        if name in self.layers:
            return self.layers[name]
        block = re.fullmatch(r"(.+)\[(-?\d+)\]", name)
        if not block or block[1] not in self.layers:
            raise ValueError(f"unknown layer {name!r} of {self.name}; known: {', '.join(self.layers)} (or a block such as layer3[-2])")
        path, index = self.layers[block[1]].activation, int(block[2])
        stage = self.module.get_submodule(path)
        count = len(stage) if isinstance(stage, nn.Sequential) else 0
        if not -count <= index < count:
            raise ValueError(f"{name!r}: {block[1]} of {self.name} has {count} blocks" + f", 0..{count - 1} or -{count}..-1" * bool(count))
        return Layer(name, f"{path}.{index % count}")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_weights(path: Path) -> dict[str, Tensor]:
    """The state dict in a ``.safetensors`` file or a ``.pth`` pickle of plain tensors, as float32 on the CPU.

    A checkpoint's nested state dict is found, a ``module.`` prefix taken off. Raises `FileNotFoundError`,
    or `ValueError` for a file that holds anything but tensors; nothing in a pickle is ever executed.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: {'a folder, not a' if path.is_dir() else 'no such'} weights file")
    state: Any
    try:
        if path.suffix == ".safetensors":
            state = safetensors.torch.load_file(path)
        else:
            with warnings.catch_warnings():  # on pickles that torch then refuses
                warnings.simplefilter("ignore")
                state = torch.load(path, map_location="cpu", weights_only=True)
    except (safetensors.SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        code = "WeightsUnpickler" in str(error) or "Unsupported" in str(error)
        reason = "it holds other objects than tensors (nothing was executed)" if code else "it is damaged, or no weights at all"
        raise ValueError(f"{path}: not plain weights, a state dict of tensors in .pth or .safetensors: {reason}") from error
    for key in NESTED:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not state or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise ValueError(f"{path}: not plain weights: expected a state dict, names to tensors")
    return {k.removeprefix("module."): v.float() if v.is_floating_point() else v for k, v in state.items()}


def preprocessed(path: Path) -> str:
    """The name of the preprocessing with which camx trained the weights of a ``.safetensors`` file; empty for other files."""
    if path.suffix != ".safetensors":
        return ""
    with safetensors.safe_open(path, "pt") as file:
        return (file.metadata() or {}).get("preprocessing", "")


def _completed(module: nn.Module, state: dict[str, Tensor], backbone: tuple[str, ...]) -> dict[str, Tensor]:
    """The weights of the `backbone`, of the rest what fits, and what is then missing as the module has it."""
    own = module.state_dict()
    rest = {k: v for k, v in own.items() if not k.startswith(backbone)}
    fits = {k: v for k, v in state.items() if k in rest and v.shape == rest[k].shape}
    return {**{k: v for k, v in state.items() if k.startswith(backbone)}, **rest, **fits}


def _fill(
    build,
    default_classes: int,
    state: dict[str, Tensor],
    path: Path,
    name: str,
    classes: int | None = None,
    backbone: tuple[str, ...] = (),
) -> nn.Module:
    """The network with the weights, its number of classes taken from them. `ValueError` if they do not fit.

    With `classes`, a new last layer of so many is left as built where the weights' has another number; with a
    `backbone` besides, so is all that the weights lack outside of it, and what else they hold is left out.
    """
    with torch.device("meta"):  # shapes only: nothing is initialised just to be overwritten
        head = list(build(default_classes).state_dict())[-1]
    found = len(state[head]) if head in state and state[head].ndim else default_classes
    with torch.device("cpu" if classes else "meta"):
        module = build(classes or found)
    if classes and found != classes:
        last = head.rpartition(".")[0]
        state = {**state, **{f"{last}.{k}": v for k, v in module.get_submodule(last).state_dict().items()}}
    if classes and backbone:
        state = _completed(module, state, backbone)
    expected = module.state_dict()
    optional = {k for k in expected if k.endswith("num_batches_tracked")}  # absent from files of old torch
    state = {**{k: torch.zeros((), dtype=torch.long) for k in optional}, **state}
    wrong = [f"{k} is missing" for k in expected if k not in state]
    wrong += [f"{k} is not part of {name}" for k in state if k not in expected]
    wrong += [
        f"{k} is {tuple(state[k].shape)}, expected {tuple(v.shape)}"
        for k, v in expected.items()
        if k in state and state[k].shape != v.shape
    ]
    wrong += [f"{k} holds values that are not finite" for k, v in state.items() if not v.isfinite().all()]
    if wrong:
        raise ValueError(f"{path}: weights do not fit {name}: {wrong[0]}" + f" (and {len(wrong) - 1} more)" * (len(wrong) > 1))
    module.load_state_dict(state, assign=True)
    return module


def _named(spec, name: str, download: bool) -> tuple[Path, str, tuple[str, ...]]:
    """The cached file of torchvision's weights `name`, their full name and class names."""
    known = [w.name for w in spec.WEIGHTS if w.meta.get("categories")] if hasattr(spec, "WEIGHTS") else []
    title = spec.__name__.rpartition(".")[2]
    name = name.rpartition(".")[2]
    if name == "DEFAULT" and known:
        name = spec.WEIGHTS.DEFAULT.name
    if name not in known:
        accepted = ", ".join([*known, "FILE.pth", "FILE.safetensors"])
        raise ValueError(f"unknown weights {name!r} of {title}; accepted: {accepted}")
    weights = spec.WEIGHTS[name]
    path = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]
    if not path.is_file() and download:
        weights.get_state_dict(progress=True, check_hash=True)
    if not path.is_file():
        size = f"{weights.meta['_file_size']:.0f} MB"
        raise FileNotFoundError(f"{title}'s weights {name} are not at {path}; --download fetches them ({size}), or give --weights FILE")
    return path, str(weights), tuple(weights.meta["categories"])


def _exact() -> None:
    """Full float32 and repeatable kernels on CUDA, so that a record depends on the image and the cell alone."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def _class_names(spec, classes: int) -> tuple[str, ...]:
    if hasattr(spec, "WEIGHTS") and classes == 1000:
        return tuple(spec.WEIGHTS.DEFAULT.meta["categories"])
    return ()


def _locate(spec, weights: str | None, download: bool) -> tuple[Path, str, tuple[str, ...]]:
    """``(file, what to call it, class names)`` of weights: shipped ones, a file, or torchvision's name."""
    shipped = getattr(spec, "SHIPPED", None)
    if weights is None and shipped:
        path = Path(str(resources.files("configs") / "weights" / shipped))
        return path, f"shipped {path.name}", ()
    if weights and (Path(weights).suffix in (".pth", ".pt", ".safetensors") or Path(weights).exists()):
        return Path(weights), Path(weights).name, ()
    return _named(spec, weights or "DEFAULT", download)


def _built(spec, build, state: Mapping[str, Tensor]):
    """`build` with what it needs to know of the weights besides their classes (the spec's ``arguments``)."""
    return partial(build, **spec.arguments(state)) if hasattr(spec, "arguments") else build


def _form(spec, preprocessing: str) -> Preprocessing:
    """The network's Caffe form, where it has one, for ``paper`` and ``caffe``; else its own."""
    if preprocessing in ("paper", "caffe") and hasattr(spec, "CAFFE_MEAN_BGR"):
        return Preprocessing("caffe", spec.CAFFE_MEAN_BGR, (1.0, 1.0, 1.0), scale=1.0, bgr=True)
    return Preprocessing("torchvision", spec.MEAN, spec.STD)


def _groups(spec, module: nn.Module, lr: float) -> list[Group]:
    """The spec's own parameter groups, or those of `scaled`: what is new is all but the backbone, or the last layer."""
    if hasattr(spec, "groups"):
        return spec.groups(module, lr)
    backbone = getattr(spec, "BACKBONE", None)
    last = list(module.state_dict())[-1].rpartition(".")[0] + "."
    return scaled(module, lr, lambda name: not name.startswith(backbone) if backbone else name.startswith(last))


@dataclass(frozen=True)
class Start:
    """A network about to be trained: parameters ask for gradients; `init` names where they come from, `sha256` is that file's.

    `groups` gives a learning rate's parameter groups, new layers learning faster (`camcore.groups`).
    """

    name: str
    module: nn.Module
    input_size: int
    preprocessing: Preprocessing
    init: str
    sha256: str
    groups: Callable[[float], list[Group]] = field(repr=False)


def _first(spec) -> str:
    """The weights that training starts from by default: ImageNet's, those of a shipped file, or none."""
    if hasattr(spec, "WEIGHTS"):
        return "IMAGENET1K_V1"
    return str(resources.files("configs") / "weights" / spec.INIT) if hasattr(spec, "INIT") else "none"


def start(
    name: str,
    init: str | None,
    classes: int,
    seed: int,
    download: bool = False,
    package: str = MODELS,
    preprocessing: str = "paper",
) -> Start:
    """Network `name` with `classes` outputs to be trained, its weights from torchvision (a name), a file, or ``none``.

    The default is torchvision's first ImageNet weights, those of the papers; where it has none, the plug-in's ``INIT``
    or none. A last layer of another number of classes is new, and so is what the weights lack outside of the plug-in's
    ``BACKBONE``. What is new is drawn with `seed`. `preprocessing` is as in `load`.
    """
    plugin = plugins.load(package, "build", name)
    spec = plugin.module
    init = init or _first(spec)
    torch.manual_seed(seed)
    if init == "none":
        label, sha256, form = init, "", _form(spec, "model")
        module = plugin.function(classes, **getattr(spec, "UNTRAINED", {}))
    else:
        path, label, names = _locate(spec, init, download)
        state = read_weights(path)
        form = _form(spec, preprocessed(path) or ("model" if names else preprocessing))
        state = spec.adopt(state) if hasattr(spec, "adopt") else state
        build = _built(spec, plugin.function, state)
        backbone = getattr(spec, "BACKBONE", ())
        module, sha256 = _fill(build, len(names) or 1000, state, path, plugin.name, classes, backbone), _sha256(path)
    return Start(plugin.name, module, spec.INPUT_SIZE, form, label, sha256, partial(_groups, spec, module))


def load(
    name: str,
    weights: str | None = None,
    preprocessing: str = "model",
    device: str = "cpu",
    download: bool = False,
    package: str = MODELS,
) -> Network:
    """Build network `name` (a plug-in of `package`) with its weights: a file, a torchvision name, or its default.

    `preprocessing` ``paper`` gives weights from a file the network's Caffe form, where it has one; every
    other network, and weights named from torchvision, keep their own (protocol.md section 1, "Input"). Weights
    that camx trained say themselves what they were trained with.
    """
    plugin = plugins.load(package, "build", name)
    spec = plugin.module
    path, label, names = _locate(spec, weights, download)
    state = read_weights(path)
    default = len(names) or (10 if hasattr(spec, "SHIPPED") else 1000)
    module = _fill(_built(spec, plugin.function, state), default, state, path, plugin.name)
    for parameter in module.requires_grad_(False).eval().parameters():
        last = parameter
    classes = len(last)
    module = module.to(device)
    if torch.device(device).type == "cuda":
        _exact()
    form = _form(spec, preprocessed(path) or ("model" if names else preprocessing))
    layers = {layer: Layer(layer, *paths) for layer, paths in getattr(spec, "LAYERS", {}).items()}
    names = names or _class_names(spec, classes)
    return Network(
        plugin.name,
        module,
        layers,
        spec.INPUT_SIZE,
        form,
        classes,
        label,
        _sha256(path),
        names,
    )
