"""`camx identities`: which methods draw the same on a network, so that none is measured twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from camx.cli import options, printing
from camx.cli.shared import MINIATURE, NetworkOptions, pick_device
from camx.evaluators.fields import Checked, choice, text, whole

if TYPE_CHECKING:
    from camx.camcore.identities import Drawn
    from camx.camcore.networks import Network

TASKS = {"mini-defects": "defects", "mini-vgg-voc": "segmentation"}  # others' is localization
BATCH = 8  # images


@dataclass(frozen=True, kw_only=True)
class IdentityOptions(Checked):
    """What is compared, on what."""

    data: str = text(
        default=MINIATURE, names="datasets", help="Folder of a data set, or a name of `camx list`."
    )
    sample: int = whole(1, default=4, help="Number of images, spread evenly over the data set.")
    methods: tuple[str, ...] = text(
        many="layercam", default=(), option="--method", metavar="METHOD", names="methods",
        help="Method; repeats.  [default: all, those that ask the network again at one layer]",
    )  # fmt: skip
    layers: tuple[str, ...] = text(
        many="S5", default=(), option="--layer", metavar="LAYER", names="layers",
        help="Layer; repeats.",
    )  # fmt: skip
    gradient: Literal["own", "next"] = choice(
        "own", "next", default="own", help="Gradients of the layer, or of the pool after it.",
    )  # fmt: skip


@click.command("identities")
@options.typed(NetworkOptions, IdentityOptions)
@options.config
@options.out("identities")
@options.common
def command(asked: NetworkOptions, compared: IdentityOptions, out: Path) -> None:
    """Compare what every two methods draw on a network: which are one?

    A number is the largest difference of two maps, each divided by its maximum, on the layer's
    grid, for the network's first choice; 0.0001 is the same. OUT/identities.csv has them all.
    """
    printing.start(compared.data, f"{compared.sample} images")
    import pandas as pd

    from camx.camcore import identities, maps, networks, plugins
    from camx.cli import training
    from camx.evaluators import files

    run = None if asked.model else training.trained(asked.weights)
    model = asked.model or (run and run.model) or "mini-vgg"
    methods = compared.methods or tuple(plugins.names(maps.METHODS))
    if len(cams := options.checked(maps.methods, methods)) < 2:
        raise click.UsageError(f"two methods are compared or more, not {', '.join(cams)} alone")
    device = pick_device(asked.device)
    network = networks.load(model, asked.weights, "paper", device, asked.download)
    drawn = draw(network, compared, methods)
    same, rows = {}, []
    for layer, by_name in drawn.maps.items():
        pairs, names = identities.matrix(by_name), list(by_name)
        same[layer] = identities.groups(names, pairs)
        rows += [{"layer": layer, "method": a, **{b: pairs[a, b] for b in names}} for a in names]
        numbers = [[f"{pairs[a, b]:.2g}" for b in names[:n]] for n, a in enumerate(names)]
        lines = [[f"{n} {a}", *told] for n, (a, told) in enumerate(zip(names, numbers), 1)]
        printing.table(lines, (layer, *map(str, range(1, len(names)))))
        click.echo()
    files.write_text(out / "identities.csv", pd.DataFrame(rows).to_csv(index=False))
    files.sweep(out, files.STALE)
    click.echo("\n".join(identities.sentences(same) or ["no two methods draw the same"]))
    for (name, layer), why in drawn.refused.items():
        click.echo(f"{name} at {layer}: {why}")
    if drawn.idle:
        click.echo(f"not applicable here: {', '.join(drawn.idle)}")


def draw(network: "Network", compared: IdentityOptions, methods: Sequence[str]) -> "Drawn":
    """Every method's maps of the images, a few at a time."""
    from camx.camcore import identities, maps
    from camx.camcore.taps import tap
    from camx.evaluators import datasets
    from camx.evaluators.loop import decode, stacked

    layers = [options.checked(network.layer, n) for n in compared.layers or network.layers]
    names, cams = [layer.name for layer in layers], maps.methods(methods)
    at = identities.readings(network, methods, names, bool(compared.methods))
    drawn = identities.Drawn(at, {name: {} for name in names})
    samples = datasets.load(compared.data, TASKS.get(network.name, "localization")).samples
    picked = samples[:: max(1, len(samples) // compared.sample)][: compared.sample]
    with printing.progress(len(picked), 0) as bar:
        for first in range(0, len(picked), BATCH):
            pictures = [decode(s, (network.input_size,)) for s in picked[first : first + BATCH]]
            images = network.prepare(stacked(pictures))
            targets = identities.first_choice(network, images)
            drawn.add(tap(network.module, images, targets, layers, compared.gradient), cams)
            bar.update(len(pictures))
    return drawn
