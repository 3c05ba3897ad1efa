"""The recipes of the trained networks of Table V: YAML files, by the network's name."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from camx.camcore.suggestions import near
from camx.evaluators.fields import Checked, built, choice, defaults, flag, number, whole
from camx.evaluators.files import parse_yaml, read_text

SOURCE = 'docs/protocol.md, section 1, "ACoL, ADL"'
_FOLDER = resources.files("camx.configs") / "recipes"


@dataclass(frozen=True, kw_only=True)
class Recipe(Checked):
    """How a classifier of images of one class is trained by SGD; each paper's is a file."""

    epochs: int = whole(1, help="Epochs.", source=SOURCE)
    epoch_steps: int = whole(
        0, help="Steps an epoch, by which the rate falls and the log grows; 0: those of a pass "
        "over the images.", source=SOURCE,
    )  # fmt: skip
    batch: int = whole(1, option="--batch-size", help="Images a step, in all.", source=SOURCE)
    lr: float = number(0, above=True, help="First learning rate.", source=SOURCE)
    new_rate: float = number(0, help="How many times as fast new layers learn.", source=SOURCE)
    bias_rate: float = number(0, help="How many times as fast biases learn.", source=SOURCE)
    momentum: float = number(0, 1, below=True, help="SGD's momentum.", source=SOURCE)
    nesterov: bool = flag(help="Nesterov's momentum.", source=SOURCE)
    weight_decay: float = number(0, help="SGD's weight decay.", source=SOURCE)
    bias_decay: bool = flag(default=True, help="Let biases decay too.", source=SOURCE)
    decay_at: tuple[int, ...] = whole(
        0, many="[3, 6]", help="Epochs after which the rate falls; repeats.", source=SOURCE
    )
    decay: float = number(0, above=True, help="Its factor then.", source=SOURCE)
    resize: int = whole(
        0, help="Side in pixels that an image is squashed to, before the network's input is cut "
        "at random; 0: 8/7 of the input.", source=SOURCE,
    )  # fmt: skip
    flip: bool = flag(default=True, help="Mirror images at random.", source=SOURCE)
    validation: float = number(
        0, 1, below=True, default=0.05,
        help="Share of the images held out to be judged by, where the data set has none for it.",
    )  # fmt: skip
    precision: str = choice("auto", "float32", "bf16", default="auto", help="auto: bf16 on CUDA.")


def names() -> list[str]:
    """The shipped recipes."""
    return sorted(Path(e.name).stem for e in _FOLDER.iterdir() if e.name.endswith(".yaml"))


def load(name: str, replaced: Mapping[str, Any] | None = None) -> Recipe:
    """Recipe `name`, or the user's ``FILE.yaml``; single fields are `replaced`.

    Raises `ValueError` naming the field, the bad value and what is accepted.
    """
    if name.endswith((".yaml", ".yml")):
        text, origin = read_text(Path(name), "recipe"), name
    elif name in names():
        text, origin = (_FOLDER / f"{name}.yaml").read_text("utf-8"), f"recipe {name}"
    else:
        accepted = f"{', '.join(names())} (or FILE.yaml){near(name, names())}"
        raise ValueError(f"unknown recipe {name!r}; known: {accepted}")
    content = parse_yaml(text, origin)
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ValueError(f"{origin}: expected a mapping of a recipe's fields")
    values = {**defaults(Recipe), **content, **(replaced or {})}
    recipe: Recipe = built(Recipe, values, origin)
    return recipe
