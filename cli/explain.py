"""`camx explain`: what does the network look at? Methods x layers over a picture, as PNG."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from camx.cli import options
from camx.cli.shared import MINIATURE, NetworkOptions, ProtocolOptions
from camx.evaluators.fields import Checked, text
from camx.evaluators.types import MapProtocol

if TYPE_CHECKING:
    from camx.camcore.networks import Network
    from camx.evaluators.grids import Plan
    from camx.evaluators.records import Run

SHOWN = 3  # pictures of the miniature when none is named


@dataclass(frozen=True, kw_only=True)
class ExplainOptions(Checked):
    """What is drawn."""

    methods: tuple[str, ...] = text(
        many="layercam", default=(), option="--method", metavar="METHOD",
        help="Method; repeats.  [default: the five gradient methods]",
    )  # fmt: skip
    layers: tuple[str, ...] = text(
        many="S5", default=(), option="--layer", metavar="LAYER",
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
@options.typed(NetworkOptions, ExplainOptions)
@options.overrides(MapProtocol, ["target"])
@options.out("explain")
@options.common
def command(
    asked: NetworkOptions,
    drawn: ExplainOptions,
    images: tuple[Path, ...],
    given: Mapping[str, Any],
    out: Path,
) -> None:
    """Draw the maps of each IMAGE over it; without an IMAGE, of three of the miniature's.

    A photograph is shown to torchvision's VGG16, whose weights must be in torchvision's cache (or
    give --download, or --weights FILE). The predicted box of each map is green, true boxes are red.
    """
    from camx.camcore import networks
    from camx.camcore.image_files import read_image
    from camx.cli import training
    from camx.evaluators import datasets, grids, plan, protocols, records
    from camx.evaluators.tasks import localize

    replaced = options.checked(ProtocolOptions, replaced=drawn.replaced).fields
    replaced = options.settled(given, replaced)
    kind = localize.Protocol
    protocol = options.checked(protocols.load, "single", "localize", kind, replaced)
    device = options.pick_device(asked.device)
    samples: dict[Path, Any] = dict.fromkeys(images)
    if not images:
        samples = {s.path: s for s in datasets.load(MINIATURE).samples[:SHOWN]}
    for path in images:
        read_image(path)
    run = None if asked.model else training.trained(asked.weights)
    model = asked.model or (run and run.model) or ("vgg16" if images else "mini-vgg")
    network = networks.load(model, asked.weights, protocol.preprocessing, device, asked.download)
    selection = plan.Selection(drawn.methods, drawn.layers)
    cells = options.checked(plan.product, network, selection)
    maps = grids.plan(network, protocol, cells, drawn.methods, device, batch_size=1)
    how = f"{network.weights}, {network.preprocessing.name} preprocessing"
    click.echo(f"{network.name} ({how})")
    names = class_names(network, records.beside(asked.weights))
    target = None
    if drawn.named is not None:
        target = options.checked(index_of, drawn.named, names, network.classes)
    taken: set[Path] = set()  # two folders may hold pictures of one name
    for path, sample in samples.items():
        numbered = (out / f"{path.stem}{f'-{n}' if n else ''}.png" for n in range(10_000))
        destination = next(p for p in numbered if p not in taken)
        click.echo(f"{destination}: {draw(maps, path, sample, names, target, destination)}")
        taken.add(destination)


def class_names(network: "Network", run: "Run | None") -> tuple[str, ...]:
    """The network's class names, those of the run that trained it, the miniature's, or numbers."""
    from camx.evaluators.datasets.dagm import CLASSES

    names = network.class_names
    if network.weights.startswith("shipped "):
        names = CLASSES if network.name == "mini-defects" else miniature_names()
    elif run and len(run.classes) == network.classes:
        names = run.classes
    return names or tuple(f"class {i}" for i in range(network.classes))


def miniature_names() -> tuple[str, ...]:
    """The names of the miniature's classes."""
    from camx.evaluators.miniature.ilsvrc import CLASSES

    return tuple(CLASSES[wnid] for wnid in sorted(CLASSES))


def index_of(target: str, names: tuple[str, ...], classes: int) -> int:
    """The index of a class given by its index or name."""
    if target.isdigit() and int(target) < classes:
        return int(target)
    if target not in names:
        accepted = f"0..{classes - 1}, or a name such as {names[0]!r}"
        raise ValueError(f"unknown class {target!r}; accepted: {accepted}")
    return names.index(target)


def draw(
    plan: "Plan", path: Path, sample: Any, names: tuple[str, ...], target: int | None, out: Path
) -> str:
    """Write one picture's overlay grid; returns its title."""
    import torch

    from camx.camcore import views
    from camx.camcore.faults import NotFinite
    from camx.evaluators import grids, heatmaps
    from camx.evaluators.loop import decode, stacked
    from camx.evaluators.results import figures
    from camx.evaluators.tasks.localize import boxes
    from camx.evaluators.types import Sample

    protocol: Any = plan.protocol
    picture = decode(sample or Sample(path.stem, path, -1), (plan.view.grid,))
    squashed = stacked([picture])
    with torch.no_grad():
        inputs = plan.network.prepare(views.cut(squashed, plan.view))
        scores = plan.network.module(inputs).sum(0).softmax(0)
    first = int(scores.argmax())
    asked = first if target is None else target
    try:
        maps, _ = grids.image_maps(plan, squashed, torch.tensor([asked]))
    except NotFinite as error:
        raise ValueError(f"{path}: {error.faults[0]}") from None
    shown, predicted = {}, {}
    for cell, grid in maps.items():
        shown[cell] = heatmaps.on_image(grid[0], picture.size, protocol.interpolation)
        mask = heatmaps.foreground(shown[cell], protocol.threshold)
        predicted[cell] = boxes.box(mask, protocol.box)
    title = f"{names[asked]} ({100 * float(scores[asked]):.1f} %)"
    if asked != first:
        title += f"; first choice {names[first]} ({100 * float(scores[first]):.1f} %)"
    if sample:
        title += f"; truth: {miniature_names()[sample.label]}"
    truths = sample.boxes if sample else ()
    out.parent.mkdir(parents=True, exist_ok=True)
    figures.overlay_grid(picture.pixels, shown, predicted, truths, title, out)
    return title
