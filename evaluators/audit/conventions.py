"""Conventions: single fields of a protocol, each with the values that others use."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from camx.camcore.suggestions import near
from camx.evaluators import fields
from camx.evaluators.tasks.localize import Protocol
from camx.evaluators.types import MapProtocol

# What `--over` may name, and the field of the protocol that it is. What needs another network
# (preprocessing, precision, memory) or another package's methods (style) is another run.
AXES: Mapping[str, str] = {
    "contours": "box",
    "interpolation": "interpolation",
    "iou": "iou",
    "threshold": "threshold",
    "view": "view",
    "gradient": "gradient",
    "normalisation": "normalisation",
    "target": "target",
    "box": "box",
}
USUAL = ("contours", "interpolation", "iou", "threshold", "view", "gradient")
THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3)
OF_MAPS = tuple(f.name for f in dataclasses.fields(MapProtocol) if f.name != "name")


@dataclass(frozen=True)
class Convention:
    """One field of a protocol at another value."""

    field: str
    value: Any

    @property
    def name(self) -> str:
        """As ``--set`` says it: ``interpolation=linear``."""
        return f"{self.field}={self.value}"

    @property
    def kind(self) -> str:
        """The folder of its records in a run."""
        return f"records-{self.name}"

    def of(self, base: Protocol) -> Protocol:
        """The protocol with this convention. `ValueError` where the two do not go together."""
        return replace(base, name=f"{base.name}, {self.name}", **{self.field: self.value})


def read(words: Sequence[str]) -> list[Convention]:
    """What ``--over`` says: fields, separated by commas, each with values ``threshold=0.2:0.3``.

    A field without values has all that it accepts, a threshold `THRESHOLDS`. Raises `ValueError`
    naming the word and what is accepted.
    """
    accepted = fields.of(Protocol)
    read = []
    for word in (word.strip() for item in words for word in item.split(",")):
        name, _, values = word.partition("=")
        if name not in AXES:
            names = ", ".join(AXES)
            what = f"no convention of maps or boxes{near(name, AXES)}"
            raise ValueError(f"--over {word!r}: {what}; accepted: {names}, or threshold=0.2:0.3")
        field = AXES[name]
        try:
            several = [accepted[field].parse(value) for value in values.split(":") if values]
        except ValueError as error:
            raise ValueError(f"--over {word!r}: {error}") from None
        every = several or accepted[field].choices or THRESHOLDS
        read += [Convention(field, value) for value in every]
    return list(dict.fromkeys(read))


def asked(words: Sequence[str], base: Protocol) -> tuple[Convention, ...]:
    """The conventions that ``--over`` names, without those that are the base protocol's.

    Without any word those that are `USUAL` and go with the base. Raises `ValueError` where nothing
    is left to compare, and as `read` and `Convention.of`.
    """
    others = [c for c in read(words or USUAL) if getattr(base, c.field) != c.value]
    if not words:
        others = [convention for convention in others if _fits(convention, base)]
    for convention in others:
        convention.of(base)
    if not others:
        what = f"nothing but what protocol {base.name} says"
        raise ValueError(f"--over {','.join(words)!r}: {what}; name another value")
    return tuple(others)


def _fits(convention: Convention, base: Protocol) -> bool:
    try:
        convention.of(base)
    except ValueError:
        return False
    return True


def maps_of(protocol: Protocol) -> tuple[Any, ...]:
    """What of a protocol makes maps: those with the same are judged on the same maps."""
    return tuple(getattr(protocol, name) for name in OF_MAPS)
