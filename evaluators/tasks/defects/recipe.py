"""The recipe of the defect classifier's training."""

from dataclasses import dataclass

from camx.evaluators.fields import Checked, choice, flag, number, whole

SOURCE = 'docs/protocol.md, section 3, "Training"'


@dataclass(frozen=True, kw_only=True)
class Recipe(Checked):
    """The paper's by default."""

    epochs: int = whole(1, default=15, help="Passes over the images.", source=SOURCE)
    batch: int = whole(1, default=32, option="--batch-size", help="Images a step.", source=SOURCE)
    lr: float = number(0, above=True, default=0.001, help="First learning rate.", source=SOURCE)
    momentum: float = number(0, 1, below=True, default=0.9, help="SGD's momentum.", source=SOURCE)
    weight_decay: float = number(0, default=0.0, help="SGD's weight decay.", source=SOURCE)
    decay_at: tuple[int, ...] = whole(
        0, many="[5, 10]", default=(5, 10), source=SOURCE,
        help="Epochs after which the rate falls; repeats.",
    )  # fmt: skip
    decay: float = number(0, above=True, default=0.1, help="Its factor then.", source=SOURCE)
    balance: str = choice(
        "none", "loss", "sample", default="none",
        help="Against rare defects: weigh the loss, or draw both classes equally often.",
    )  # fmt: skip
    flip: bool = flag(help="Mirror images at random.")
    validation: float = number(
        0, 1, below=True, default=0.0,
        help="Share of the training images held out to choose the best epoch; 0 chooses by the "
        "training loss.",
    )  # fmt: skip
    precision: str = choice("auto", "float32", "bf16", default="auto", help="auto: bf16 on CUDA.")
