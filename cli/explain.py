"""`camx explain`: what does the network look at? Methods x layers over a picture, as PNG."""

import importlib.util
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from camx.cli import options, printing
from camx.cli.shared import MINIATURE, NetworkOptions, ProtocolOptions, pick_device
from camx.evaluators.fields import Checked, text
from camx.evaluators.types import MapProtocol

if TYPE_CHECKING:
    from camx.camcore.networks import Network
    from camx.evaluators.explanations import Explanation
    from camx.evaluators.grids import Plan
    from camx.evaluators.types import Sample

DEFAULT = "efficientnet-lite0"
SHOWN = 3  # pictures of the miniature when none is named
PHOTOGRAPHS = ("chelsea.png", "coffee.png", "camera.png")  # scikit-image's


@dataclass(frozen=True, kw_only=True)
class NetworksOptions(NetworkOptions):
    """Which networks."""

    model: tuple[str, ...] = text(  # type: ignore[assignment]  # several of what others have one of
        many="vgg16", default=(), metavar="MODEL", names="models",
        help="Network: a name of `camx list models`, module:function or FILE.py; repeats.  "
        f"[default: {DEFAULT}]",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ExplainOptions(Checked):
    """What is drawn."""

    methods: tuple[str, ...] = text(
        many="layercam", default=(), option="--method", metavar="METHOD", names="methods",
        help="Method; repeats.  [default: the five gradient methods]",
    )  # fmt: skip
    layers: tuple[str, ...] = text(
        many="S5", default=(), option="--layer", metavar="LAYER", names="layers",
        help="Layer, or a fusion S5+S4; repeats.  [default: all]",
    )  # fmt: skip
    named: str | None = text(
        default=None, option="--class",
        help="Class to explain: its index or name.  [default: the network's first choice]",
    )  # fmt: skip
    replaced: tuple[str, ...] = text(
        many="threshold=0.2", default=(), option="--set", metavar="FIELD=VALUE",
        help="Override a protocol field; repeats.",
    )  # fmt: skip


@click.command("explain")
@click.argument("images", nargs=-1, type=click.Path(path_type=Path))
@options.typed(NetworksOptions, ExplainOptions)
@options.overrides(MapProtocol, ["target"])
@options.out("explain")
@options.common
def command(
    asked: NetworksOptions,
    drawn: ExplainOptions,
    images: tuple[Path, ...],
    given: Mapping[str, Any],
    out: Path,
) -> None:
    """Draw the maps of each IMAGE over it, one PNG an image and network.

    An IMAGE is a file, or a folder of pictures. Without one, three photographs are shown, or three
    of the miniature's pictures to a network that does not know ImageNet's classes. The predicted
    box of each map is solid, true boxes are dashed.
    """
    printing.start(", ".join(asked.model or (DEFAULT,)))
    from camx.camcore.image_files import read_image

    samples = [sample_of(path) for path in pictures(images)]
    for sample in samples:
        read_image(sample.path)
    if len(asked.model) > 1 and asked.weights:
        several = ", ".join(asked.model)
        raise click.UsageError(f"--weights are of one network, but --model names {several}")
    taken: set[Path] = set()
    for making, names in [prepared(name, asked, drawn, given) for name in asked.model or (None,)]:
        network = making.network
        how = f"{network.weights}, {network.preprocessing.name} preprocessing"
        click.echo(f"{network.name} ({how})")
        suffix = f"_{network.name}" if len(asked.model) > 1 else ""
        for sample in samples or usual(network):
            path = free(out, f"{sample.path.stem}{suffix}", taken)
            click.echo(f"{path}: {draw(making, sample, names, drawn.named, path)}")


def pictures(paths: Sequence[Path]) -> list[Path]:
    """The files, and the pictures in the folders, sorted. `FileNotFoundError` for an empty one."""
    from camx.camcore.image_files import PICTURES
    from camx.evaluators.files import listing

    files: list[Path] = []
    for path in paths:
        inside = listing(path, PICTURES, "picture") if path.is_dir() else [path]
        if not inside:
            expected = f"expected files ending in {', '.join(PICTURES)}"
            raise FileNotFoundError(f"{path}: a folder without pictures; {expected}")
        files += inside
    return files


def sample_of(path: Path) -> "Sample":
    """A picture of which nothing is known."""
    from camx.evaluators.types import Sample

    return Sample(path.stem, path, -1)


def usual(network: "Network") -> "Sequence[Sample]":
    """What a network is shown when nothing is named."""
    from camx.camcore.networks import IMAGENET_CLASSES
    from camx.evaluators import datasets

    if network.classes == IMAGENET_CLASSES:
        return [sample_of(path) for path in photographs()]
    return datasets.load(MINIATURE).samples[:SHOWN]


def photographs() -> list[Path]:
    """The photographs of scikit-image, which is not imported."""
    spec = importlib.util.find_spec("skimage")
    folders = (spec and spec.submodule_search_locations) or [""]
    paths = [Path(folders[0]) / "data" / name for name in PHOTOGRAPHS]
    for path in paths:
        if not path.is_file():
            repair = "name a picture, or: pip install --force-reinstall --no-deps scikit-image"
            raise FileNotFoundError(f"{path}: no such photograph of scikit-image's; {repair}")
    return paths


def prepared(
    name: str | None, asked: NetworksOptions, drawn: ExplainOptions, given: Mapping[str, Any]
) -> "tuple[Plan, tuple[str, ...]]":
    """How one network's maps are made, and its class names."""
    from camx.camcore import networks
    from camx.cli import training
    from camx.evaluators import explanations, grids, plan, protocols, records
    from camx.evaluators.tasks import localize

    replaced = options.checked(ProtocolOptions, replaced=drawn.replaced).fields
    replaced = options.settled(given, replaced)
    kind = localize.Protocol
    protocol = options.checked(protocols.load, "single", "localize", kind, replaced)
    device = pick_device(asked.device)
    run = None if name else training.trained(asked.weights)
    model = name or (run and run.model) or DEFAULT
    network = networks.load(model, asked.weights, protocol.preprocessing, device, asked.download)
    selection = plan.Selection(drawn.methods, drawn.layers)
    cells = options.checked(plan.product, network, selection)
    making = grids.plan(network, protocol, cells, drawn.methods, device, batch_size=1)
    names, beside = explanations.names_of(network), records.beside(asked.weights)
    if beside and len(beside.classes) == network.classes:
        names = beside.classes
    if drawn.named is not None:
        options.checked(explanations.index_of, drawn.named, network.classes, names)
    return making, names


def free(folder: Path, stem: str, taken: set[Path]) -> Path:
    """A file that no other picture takes: two folders may hold pictures of one name."""
    stem = re.sub(r"[^\w.+-]+", "-", stem)  # torchvision:resnet18
    numbered: Iterator[Path] = (
        folder / f"{stem}{f'-{n}' if n else ''}.png" for n in range(len(taken) + 1)
    )
    path = next(path for path in numbered if path not in taken)
    taken.add(path)
    return path


def draw(
    making: "Plan", sample: "Sample", names: Sequence[str], target: str | None, out: Path
) -> str:
    """Write one picture's maps as a plate; returns its title."""
    from camx.evaluators import explanations, pictures
    from camx.evaluators.drawings import overlays
    from camx.evaluators.pictures import plate

    seen = explanations.explained(making, sample.path, target, names)
    sample = sample.within(seen.size)
    title = titled(seen)
    if sample.boxes:  # only the miniature's pictures have any here
        title += f"; truth: {explanations.miniature_names()[sample.label]}"
    out.parent.mkdir(parents=True, exist_ok=True)
    pictures.write(plate.draw(overlays.of_explanation(seen, making, sample, title)), out)
    return title


def titled(seen: "Explanation") -> str:
    """The class explained and its probability, and the network's first choice if it is another."""
    title = f"{seen.name(seen.label)} ({100 * float(seen.probabilities[seen.label]):.1f} %)"
    ((first, share),) = seen.top(1)
    if seen.name(seen.label) != first:
        title += f"; first choice {first} ({100 * share:.1f} %)"
    return title
