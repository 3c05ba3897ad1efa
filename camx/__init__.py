"""camx: which class activation map finds the object, by how much, and is the difference real?

In Python, `load` a network (or take any ``torch.nn.Module``) and `explain` a picture with it:

    network = camx.load("efficientnet-lite0")
    explanation = camx.explain(network, "photo.jpg", methods=["layercam"], layers=["S5", "S4"])
    explanation.overlay("layercam", "S4").save("overlay.png")

`camx.cli` is the command line, `camx.evaluators` says what a number means, `camx.camcore` makes the
maps, and `camx.configs` holds tables, protocols and weights. In the checkout each is a folder
beside this one.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from camx.camcore.layers import Layer as Layer
    from camx.camcore.networks import Network as Network
    from camx.camcore.networks import load as load
    from camx.evaluators.explanations import Explanation as Explanation
    from camx.evaluators.explanations import explain as explain

HOMES = {
    "Explanation": "camx.evaluators.explanations",
    "Layer": "camx.camcore.layers",
    "Network": "camx.camcore.networks",
    "explain": "camx.evaluators.explanations",
    "load": "camx.camcore.networks",
}
__all__ = list(HOMES)


def __getattr__(name: str) -> Any:
    """What `HOMES` names, imported when it is used: torch takes its time."""
    if name not in HOMES:
        raise AttributeError(f"module 'camx' has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *HOMES})
