"""What a network's file declares, and how it is read from a plug-in."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from camx.camcore.building import Build, skeleton
from camx.camcore.groups import Group
from camx.camcore.plugins import Plugin
from camx.camcore.preprocessing import Preprocessing

PROBES = (7, 11)  # two numbers of classes that hardly any width in a network is by chance
# Functions of a file's module; the rest are constants.
FUNCTIONS = ("build", "arguments", "groups", "adopt", "origin")
NEEDED = {
    "build": "a function build(classes) that gives the torch.nn.Module",
    "input_size": "the pixels a side of the network's input",
    "mean": "the three means of the input's channels",
    "std": "the three standard deviations of the input's channels",
}
LAYERS = '{"S5": ("features.29", "features.30")}: a module\'s path, and the next pool\'s or None'


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
    origin          ``origin(state)``: ``caffe`` or ``model`` if weights show how they were trained
    init            the file of ``configs/weights`` that training starts from without `weights`
    find            ``find(download, option)``: its own way to its weights' file, and their name
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
    origin: Callable[[Mapping[str, Tensor]], str] | None = None
    init: str = ""
    find: Callable[[bool, str], tuple[Path, str]] | None = None
    test: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """`ValueError` for what is of another kind, by the name it has in capitals."""
        faults = {
            "build": (callable(self.build), NEEDED["build"]),
            "input_size": (_whole(self.input_size), "a whole number from 1"),
            "mean": (_numbers(self.mean), "three numbers"),
            "std": (_numbers(self.std, above=0), "three numbers above 0"),
            "layers": (_layers(self.layers), LAYERS),
            "head": (isinstance(self.head, str), "a module's path"),
            "caffe_mean_bgr": (
                self.caffe_mean_bgr is None or _numbers(self.caffe_mean_bgr), "three numbers"
            ),
        }  # fmt: skip
        for name, (right, accepted) in faults.items():
            if not right:
                constant = name if name in FUNCTIONS else name.upper()
                what = f"{constant} is {getattr(self, name)!r}"
                raise ValueError(f"{what}, which is not accepted; accepted: {accepted}")

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
        try:
            return cls(**values)
        except ValueError as error:
            raise ValueError(f"{module.__file__}: {error}") from None

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
        few, more = (skeleton(build, classes).state_dict() for classes in PROBES)
        return {
            name: axis
            for name in few
            if name in more
            for axis, sides in enumerate(zip(few[name].shape, more[name].shape))
            if sides == PROBES
        }


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _numbers(values: Any, above: float = -math.inf) -> bool:
    """Whether these are three finite numbers, each above a bound."""
    if not isinstance(values, tuple | list) or len(values) != 3:
        return False
    real = [isinstance(v, int | float) and not isinstance(v, bool) for v in values]
    return all(real) and all(math.isfinite(v) and v > above for v in values)


def _layers(layers: Any) -> bool:
    pairs = list(layers.items()) if isinstance(layers, Mapping) else [None]
    return all(
        pair and isinstance(pair[0], str) and isinstance(pair[1], tuple | list)
        and len(pair[1]) == 2 and isinstance(pair[1][0], str)
        and isinstance(pair[1][1], str | None)
        for pair in pairs
    )  # fmt: skip


def modules_of(tensors: Mapping[str, int]) -> tuple[str, ...]:
    """Prefixes of the names of all in these tensors' modules; a tensor in none is its own."""
    return tuple(dict.fromkeys(name[: name.rfind(".") + 1] or name for name in tensors))
