"""Options that several commands share, as dataclasses."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import click

from camx.evaluators.fields import Checked, choice, flag, path, text, whole
from camx.evaluators.types import MAP_STYLES

MINIATURE = "mini"
EXAMPLE = "example"


@dataclass(frozen=True, kw_only=True)
class DataOptions(Checked):
    """What is measured."""

    data: str = text(
        default=MINIATURE,
        names="datasets",
        help="Folder of a data set, READER:FOLDER, or a name of `camx list datasets`.",
    )
    limit: int | None = whole(1, default=None, help="Only the first N images.")
    sample: int | None = whole(1, default=None, help="Only N images drawn at random (--seed).")
    blacklist: Path | None = path(
        default=None, help="File of images to leave out: names, or numbers in validation order."
    )
    seed: int = whole(0, default=0, help="Seed of everything drawn at random.")
    summary: bool = flag(default=True, help="Print tables at the end.")
    on_error: str = choice(
        "stop", "skip", default="stop",
        help="At an image that cannot be read, or whose logits or maps hold NaN or Inf: stop, or "
        "skip it (OUT/skipped.csv).",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class NetworkOptions(Checked):
    """Which network."""

    model: str | None = text(
        default=None,
        names="models",
        help="Network: a name of `camx list models`, module:function or FILE.py.",
    )
    weights: str | None = text(
        default=None,
        names="files",
        help="A file of tensors (.pth, .safetensors), or torchvision's name of its weights.",
    )
    download: bool = flag(help="Let torchvision fetch weights that are not in its cache.")
    device: str = text(default="auto", help="auto, cpu, cuda, cuda:1, ...")


@dataclass(frozen=True, kw_only=True)
class ProtocolOptions(Checked):
    """How maps are made."""

    protocol: str | None = text(
        default=None,
        names="protocols",
        help="A name of `camx list protocols`, or FILE.yaml.  [default: paper]",
    )
    style: str | None = choice(
        *filter(None, MAP_STYLES), default=None, option="--as",
        help="Make maps as that package does, to explain its numbers.",
    )  # fmt: skip
    replaced: tuple[str, ...] = text(
        many="threshold=0.2", default=(), option="--set", metavar="FIELD=VALUE",
        help="Override a protocol field; repeats.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        for pair in self.replaced:
            if "=" not in pair:
                raise ValueError(f"{pair!r} is not FIELD=VALUE")
        if self.style and self.protocol:
            raise ValueError("--as names a protocol of its own; leave out --protocol")

    @property
    def name(self) -> str:
        return self.style or self.protocol or "paper"

    @property
    def about(self) -> str:
        """The protocol and what replaces its fields, for people."""
        return ", ".join([f"protocol {self.name}", *self.replaced])

    @property
    def fields(self) -> Mapping[str, str]:
        return dict(pair.split("=", 1) for pair in self.replaced)


@dataclass(frozen=True, kw_only=True)
class CellOptions(Checked):
    """Which cells."""

    methods: tuple[str, ...] = text(
        many="layercam", default=(), option="--method", metavar="METHOD", names="methods",
        help="Method; repeats.  [default: those of the command's tables]",
    )  # fmt: skip
    layers: tuple[str, ...] = text(
        many="S5", default=(), option="--layer", metavar="LAYER", names="layers",
        help="Layer, or a fusion S5+S4; repeats.  [default: the tables']",
    )  # fmt: skip
    variants: tuple[str, ...] = text(
        many="gamma=3", default=(), option="--variant", metavar="VARIANT",
        help="For --layer: gamma=3, scale=none|sqrt|tan; of a fusion: fusion=max|product|winsor; "
        "repeats.  [default: gamma=2 where fused]",
    )  # fmt: skip
    tables: tuple[str, ...] = text(
        many="I", default=(), option="--table", metavar="TABLE", names="tables",
        help="Measure the cells of this table, or FILE.yaml; repeats.",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MachineOptions(Checked):
    """On what machine, and what else is written."""

    batch_size: int | None = whole(
        1, default=None, help="Views a batch.  [default: 20 on a CPU, 100 on CUDA]"
    )
    workers: int | None = whole(
        1, default=None, help="Workers that decode and that score.  [default: the cores]"
    )
    workers_as: str | None = choice(
        "threads", "processes", default=None,
        help="What workers are: processes feed a fast GPU, and take 100 MB each.  [default: "
        "threads on a CPU, processes on CUDA]",
    )  # fmt: skip
    deterministic: bool = flag(help="On CUDA too, only algorithms that repeat their bits.")
    save_maps: str | None = choice(
        "png", "npy", default=None, alone="png",
        help="Also write each map: alone or png, as maps/<image>_<method>_<layer>.png; npy, as "
        "wsolevaluation reads them, maps/<method>_<layer>/<image's path>.npy.",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RunsOptions(Checked):
    """Which recorded runs."""

    runs: Path = path(
        default=Path("results"),
        help=f"Where to look for run.json files; {EXAMPLE}: runs on real images that camx ships.",
    )
    data: str | None = text(
        default=None,
        names="datasets",
        help="Only runs on this data set: its name or folder.  [default: that of the newest run]",
    )
    seed: int = whole(0, default=0, help="Seed of the resampling.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.runs == Path(EXAMPLE) and not self.runs.exists():
            object.__setattr__(self, "runs", shipped())


def shipped() -> Path:
    """The folder of the runs that camx ships."""
    return Path(str(resources.files("camx.configs") / EXAMPLE))


def pick_device(name: str) -> str:
    """`auto` is CUDA when there is one. `UsageError` for a device that torch does not have."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        accepted = "auto, cpu, cuda" if torch.cuda.is_available() else "auto, cpu"
        reason = str(error).splitlines()[0]
        what = f"device {name!r} cannot be used here ({reason}); accepted: {accepted}"
        raise click.UsageError(what) from None
    return name
