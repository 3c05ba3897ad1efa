"""The recipe of the multi-label classifier's training."""

from dataclasses import dataclass

from camx.evaluators.fields import Checked, choice, flag, number, whole

SOURCE = 'docs/protocol.md, section 4, "Classifier"'


@dataclass(frozen=True, kw_only=True)
class Recipe(Checked):
    """By default OAA's of that time: 30,000 steps of 5 images there are 15 epochs here."""

    epochs: int = whole(1, default=15, help="Passes over the images.", source=SOURCE)
    batch: int = whole(1, default=5, option="--batch-size", help="Images a step.", source=SOURCE)
    lr: float = number(0, above=True, default=0.001, help="First learning rate.", source=SOURCE)
    momentum: float = number(0, 1, below=True, default=0.9, help="SGD's momentum.", source=SOURCE)
    weight_decay: float = number(0, default=0.0005, help="SGD's weight decay.", source=SOURCE)
    decay_at: float = number(
        0, 1, default=2 / 3, source=SOURCE,
        help="Share of the training after which the rate falls.",
    )  # fmt: skip
    decay: float = number(0, above=True, default=0.1, help="Its factor then.", source=SOURCE)
    side: int = whole(
        0, default=0, source=SOURCE,
        help="Pixels of the short side and of the square cut at random; 0: the network's input.",
    )  # fmt: skip
    flip: bool = flag(default=True, help="Mirror images at random.", source=SOURCE)
    precision: str = choice("auto", "float32", "bf16", default="auto", help="auto: bf16 on CUDA.")
