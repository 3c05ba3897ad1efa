"""The anatomy of a network: its layers and what they give, without its weights, for people."""

from collections.abc import Mapping
from dataclasses import dataclass

from camx.camcore import survey
from camx.camcore.building import drawn, offline, skeleton
from camx.camcore.layers import Layer
from camx.camcore.networks import IMAGENET_CLASSES, MODELS, declared, layers_of
from camx.camcore.survey import Place


@dataclass(frozen=True)
class Anatomy:
    """A network's layers, deepest first, and the place that each is.

    `shapes` are what their modules give of one picture of ``input_size`` pixels a side, by path.
    """

    layers: Mapping[str, Layer]
    places: Mapping[str, Place | None]
    shapes: Mapping[str, tuple[int, ...]]
    input_size: int


def of(name: str) -> Anatomy:
    """The anatomy of network `name`. `ValueError` for an unknown one, or one that does not run."""
    plugin, spec = declared(name, MODELS)
    with offline(False):
        module = skeleton(spec.build, IMAGENET_CLASSES)
        try:
            seen = survey.of(module, spec.input_size)
        except ValueError:  # it does not run without numbers
            module = drawn(spec.build, IMAGENET_CLASSES)
            seen = survey.of(module, spec.input_size)
    layers = layers_of(plugin, spec, module)
    places = {name: seen.place(layer.activation) for name, layer in layers.items()}
    shapes = survey.shapes(module, spec.input_size)
    of_one = {y.activation: _of_one(shapes.get(y.activation, ()), y) for y in layers.values()}
    return Anatomy(layers, places, of_one, spec.input_size)


def _of_one(shape: tuple[int, ...], layer: Layer) -> tuple[int, ...]:
    """A shape without the pictures' side."""
    at = 1 if layer.layout.order == "lnc" else 0
    return shape[:at] + shape[at + 1 :]
