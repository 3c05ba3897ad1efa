"""Protocols of earlier runs, with what came later as it was until then."""

from typing import Any

from camx.evaluators.fields import defaults
from camx.evaluators.types import MapProtocol

# What occlusion's protocol got later, for records that earlier runs have none of.
LATER = {"explained": "first", "percentiles": [10, 20, 30, 40, 50, 60, 70, 80, 90]}


def completed(protocol: Any) -> Any:
    """A map protocol as an older run holds it, with what was added since as it was until then."""
    of_maps = isinstance(protocol, dict) and "view" in protocol
    if not of_maps:
        return protocol
    return {**defaults(MapProtocol), **(LATER if "fill" in protocol else {}), **protocol}
