"""What a network's file declares, and how it is read from a plug-in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from camx.camcore.groups import Group
from camx.camcore.plugins import Plugin

Build = Callable[..., nn.Module]
PROBES = (7, 11)  # two numbers of classes that hardly any width in a network is by chance
FUNCTIONS = ("build", "arguments", "groups", "adopt")  # module functions; the rest are constants
NEEDED = {
    "build": "a function build(classes) that gives the torch.nn.Module",
    "input_size": "the pixels a side of the network's input",
    "mean": "the three means of the input's channels",
    "std": "the three standard deviations of the input's channels",
}


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
        device = images.device
        mean, std = (torch.tensor(v, device=device).view(3, 1, 1) for v in (self.mean, self.std))
        images = images.flip(1) if self.bgr else images
        return (images.float() * self.scale - mean) / std


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A file declares ``SPEC = Spec(...)``, or module constants of these names in capitals.

    build           ``build(classes)``, the network without weights, with ``(N,classes)`` logits
    input_size      pixels a side of its input; of a segmentation network, the crop of training
    mean, std       of the input's channels, RGB in [0, 1]
    layers          ``{name: (activation's module path, following pool's or None)}``, deepest first
    weights         torchvision's enumeration of weights
    shipped         the file of ``configs/weights`` that is loaded by default
    head            the last layer's module path; where none is given, `class_axes` finds it
    backbone        prefixes of what another network's weights may fill; the rest is then new
    caffe_mean_bgr  the means of its Caffe form, 0-255, where it has one
    untrained       arguments of `build` when training starts from nothing
    arguments       ``arguments(state)``: what `build` must know of weights besides their classes
    groups          ``groups(module, lr)``: parameter groups of its own
    adopt           ``adopt(state)``: another network's weights under this one's names
    init            the file of ``configs/weights`` that training starts from without `weights`
    test            arguments of `multiscale.predict`: how a segmentation network sees an image
    """

    build: Build
    input_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    layers: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    weights: Any = None
    shipped: str = ""
    head: str = ""
    backbone: tuple[str, ...] = ()
    caffe_mean_bgr: tuple[float, ...] | None = None
    untrained: Mapping[str, Any] = field(default_factory=dict)
    arguments: Callable[[Mapping[str, Tensor]], dict[str, Any]] | None = None
    groups: Callable[[nn.Module, float], list[Group]] | None = None
    adopt: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] | None = None
    init: str = ""
    test: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, plugin: Plugin) -> "Spec":
        """The plug-in's `Spec`, or one of its module's constants.

        That of ``module:function`` builds with it. `ValueError` names the file and what it lacks.
        """
        if isinstance(plugin.object, Spec):
            return plugin.object
        module = plugin.module
        values = {} if isinstance(plugin.object, ModuleType) else {"build": plugin.object}
        declared = getattr(module, "SPEC", None)
        if isinstance(declared, Spec):
            return replace(declared, **values)
        for name in (f.name for f in fields(cls) if f.name not in values):
            constant = name if name in FUNCTIONS else name.upper()
            if hasattr(module, constant):
                values[name] = getattr(module, constant)
            elif name in NEEDED:
                wanted = f"{NEEDED[name]}, or SPEC = camx.camcore.spec.Spec(...)"
                raise ValueError(f"{module.__file__}: has no {constant}; expected {wanted}")
        return cls(**values)

    def form(self, preprocessing: str) -> Preprocessing:
        """Its Caffe form, where it has one, for ``paper`` and ``caffe``; else its own."""
        if preprocessing in ("paper", "caffe") and self.caffe_mean_bgr:
            return Preprocessing("caffe", self.caffe_mean_bgr, (1.0, 1.0, 1.0), scale=1.0, bgr=True)
        return Preprocessing("torchvision", self.mean, self.std)

    def build_for(self, state: Mapping[str, Tensor]) -> Build:
        """`build` with what it must know of the weights besides their classes."""
        return partial(self.build, **self.arguments(state)) if self.arguments else self.build

    def class_axes(self, build: Build) -> dict[str, int]:
        """``{tensor: axis}`` of the tensors with an entry a class: the head's.

        Without a declared head, those that another number of classes gives another shape, a batch
        norm's after the last layer among them. Empty where `build` ignores the number.
        """
        if self.head:
            return {f"{self.head}.weight": 0}
        with torch.device("meta"):  # shapes only: nothing is initialised
            few, more = (build(classes).state_dict() for classes in PROBES)
        return {
            name: axis
            for name in few
            if name in more
            for axis, sides in enumerate(zip(few[name].shape, more[name].shape))
            if sides == PROBES
        }


def modules_of(tensors: Mapping[str, int]) -> tuple[str, ...]:
    """Prefixes of the names of all in these tensors' modules; a tensor in none is its own."""
    return tuple(dict.fromkeys(name[: name.rfind(".") + 1] or name for name in tensors))
