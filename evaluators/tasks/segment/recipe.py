"""The recipe of a segmentation network's training."""

from dataclasses import dataclass

from camx.evaluators.fields import Checked, choice, flag, number, whole

SOURCE = 'docs/protocol.md, section 4, "DeepLab-LargeFOV"'


@dataclass(frozen=True, kw_only=True)
class Recipe(Checked):
    """The paper's by default, as PengtaoJiang/OAA writes it down in examples/seg."""

    iterations: int = whole(1, default=16000, help="Steps.", source=SOURCE)
    batch: int = whole(1, default=10, option="--batch-size", help="Images a step.", source=SOURCE)
    lr: float = number(0, above=True, default=0.001, help="First learning rate.", source=SOURCE)
    power: float = number(0, default=0.9, help="Power of the rate's fall.", source=SOURCE)
    momentum: float = number(0, 1, below=True, default=0.9, help="SGD's momentum.", source=SOURCE)
    weight_decay: float = number(0, default=0.0005, help="SGD's weight decay.", source=SOURCE)
    crop: int = whole(17, default=321, help="Side of the square cut at random.", source=SOURCE)
    scales: tuple[float, ...] = number(
        0, above=True, many="[0.5, 1.0]", default=(0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3),
        option="--scale", help="Sizes of the image, of which one is drawn; repeats.", source=SOURCE,
    )  # fmt: skip
    mirror: bool = flag(default=True, help="Mirror images at random.", source=SOURCE)
    log_every: int = whole(1, default=1000, help="Steps to a line of the log and saved weights.")
    precision: str = choice("auto", "float32", "bf16", default="auto", help="auto: bf16 on CUDA.")


@dataclass(frozen=True, kw_only=True)
class Shown(Checked):
    """How an image is shown to be segmented; by default as the network's file says."""

    scales: tuple[float, ...] = number(
        0, above=True, many="[0.5, 1.0]", default=(1.0,), option="--scale",
        help="Sizes averaged; repeats.  [default: the network's]",
    )  # fmt: skip
    flip: bool = flag(help="Average the mirrored image in.")
    long_side: int = whole(0, default=0, help="Pixels of it; 0 as it is.  [default: the network's]")
    pad_to: int = whole(0, default=0, help="Pixels a side when padded.  [default: the network's]")
