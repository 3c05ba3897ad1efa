"""`camx predict`: masks, overlays, boxes and scores of pictures without labels.

Or, with --export onnx, the network and the map as one file for onnxruntime.
"""

from dataclasses import dataclass
from pathlib import Path

import click

from camx.cli import options, printing
from camx.cli.shared import MINIATURE, NetworkOptions
from camx.evaluators.fields import Checked, choice, flag, path, text, whole

TASKS = ("localize", "defects")  # whose protocols make masks of maps
AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class PredictOptions(Checked):
    """What is predicted, and how a map becomes a mask."""

    method: str = text(default="layercam", names="methods", help="Method of the maps.")
    layer: str | None = text(
        default=None, names="layers",
        help="Layer, or a fusion S5+S4.  [default: the network's deepest]",
    )  # fmt: skip
    variant: str = text(default="", help="For --layer, as of `camx localize`: gamma=3, ...")
    named: str | None = text(
        default=None, option="--class",
        help="Class of the maps: its index or name.  [default: the network's first choice; of "
        "defects, defective]",
    )  # fmt: skip
    threshold: str | None = text(
        default=None, metavar="F|auto",
        help="Share of a map's 255 levels above which a pixel is marked; auto: the one that a run "
        "of `camx defects` or `camx localize --measure` found.  [default: the protocol's; of "
        "defects, auto]",
    )  # fmt: skip
    source: Path | None = path(
        default=None, option="--from",
        help="The run that --threshold auto is of.  [default: the newest below --runs, or beside "
        "the weights, with these weights, method and layer]",
    )  # fmt: skip
    runs: Path = path(default=Path("results"), help="Where to look for that run.")
    task: str | None = choice(
        *TASKS, default=None,
        help="Whose protocol makes masks of maps.  [default: that run's; defects for a network of "
        "`camx train defects`, else localize]",
    )  # fmt: skip
    protocol: str | None = text(
        default=None, names="protocols",
        help="A name of `camx list protocols`, or FILE.yaml.  [default: that run's, or single]",
    )  # fmt: skip
    replaced: tuple[str, ...] = text(
        many="interpolation=linear", default=(), option="--set", metavar="FIELD=VALUE",
        help="Override a protocol field; repeats.",
    )  # fmt: skip
    overlays: bool = flag(default=True, help="Also draw each map and mask over its picture.")
    save_maps: bool = flag(help="Also write each map on the network's grid, OUT/maps.")
    export: str | None = choice(
        "onnx", default=None, help="Write network and map as one file; see docs/predict.md."
    )
    limit: int | None = whole(1, default=None, help="Only the first N pictures.")
    on_error: str = choice(
        "stop", "skip", default="stop",
        help="At a picture that cannot be read, or whose logits or maps hold NaN or Inf: stop, or "
        "skip it (OUT/skipped.csv).",
    )  # fmt: skip
    batch_size: int | None = whole(
        1, default=None, help="Views a batch.  [default: that run's, or 20 on a CPU, 100 on CUDA]"
    )
    workers: int | None = whole(
        1, default=None, help="Threads that decode and that draw.  [default: the cores]"
    )

    @property
    def number(self) -> float | None:
        """The threshold, if it is a number. `ValueError` for one that is none."""
        if self.threshold in (None, AUTO):
            return None
        try:
            value = float(str(self.threshold))
        except ValueError:
            value = -1
        if not 0 <= value < 1:
            accepted = "auto, or a number from 0 below 1"
            raise ValueError(f"--threshold {self.threshold!r}; accepted: {accepted}")
        return value

    @property
    def given(self) -> bool:
        """Whether a protocol is named or changed."""
        return bool(self.protocol or self.replaced)

    def fields(self) -> dict[str, str]:
        """What --set says."""
        for pair in self.replaced:
            if "=" not in pair:
                raise ValueError(f"{pair!r} is not FIELD=VALUE")
        return dict(pair.split("=", 1) for pair in self.replaced)


@click.command("predict")
@click.argument("pictures", nargs=-1, type=click.Path(path_type=Path))
@options.typed(NetworkOptions, PredictOptions)
@options.config
@options.out("predict")
@options.common
def command(
    network: NetworkOptions, asked: PredictOptions, pictures: tuple[Path, ...], out: Path
) -> None:
    """Write the mask, overlay, box and score of each PICTURE, whose truth nobody told.

    A PICTURE is a file, a folder (with all below it) or a CSV file with a column image. OUT gets
    masks/<picture>.png (0 or 255, at the picture's size), overlays/<picture>.jpg and scores.csv.
    Without any, the miniature's pictures are taken. The same command goes on where it stopped.

    \b
    camx predict photos --weights W --method layercam --layer layer4 --threshold 0.3
    camx predict line3 --weights results/train/last.safetensors --layer layer3 --threshold auto
    camx predict --export onnx --model mini-resnet --method cam
    """
    what = f"{len(pictures)} places" if len(pictures) > 1 else str(*pictures) or MINIATURE
    printing.start(what, f"method {asked.method}")
    from camx.cli import predicting

    options.checked(lambda: asked.number)
    predicting.run(network, asked, pictures, out)
