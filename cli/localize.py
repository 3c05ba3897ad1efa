"""`camx localize`: weakly supervised localization, one record per image and cell."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import options, printing, running

if TYPE_CHECKING:
    from camcore.networks import Network
    from evaluators.tables import Table
    from evaluators.types import Cell, Protocol


@click.command("localize")
@options.selecting
@options.measuring
@click.option("--save-maps", is_flag=True, help="Also write each map as maps/<image>_<method>_<layer>.png.")
@options.out("localize")
def command(out: Path, **chosen: Any) -> None:
    """Measure how often the maps' boxes find the object: loc1, loc5 and GT-known localization.

    With nothing asked for, every cell of the tables that costs no extra pass.

    \b
    camx localize                                              Tables I-IV and XII on the miniature
    camx localize --protocol single                            one view instead of ten: quick
    camx localize --data ILSVRC --weights vgg16.pth            the paper's experiment
    camx localize --method layercam --layer S5 --layer S5+S4   two cells only
    camx localize --table I --table V                          with Score-CAM and c-MWP
    """
    from evaluators import records, runs

    protocol = running.protocol("localize", chosen)
    dataset, network, device = running.load(chosen, protocol.preprocessing)
    cells, tables = options.checked(choose, network, protocol, **{k: chosen[k] for k in ("methods", "layers", "variants", "names")})
    plan = running.plan(chosen, network, protocol, cells, device)
    samples = running.pick(dataset, chosen["sample"], chosen["limit"], chosen["seed"])
    identity = running.identity("localize", dataset, network, protocol, chosen["seed"])
    description = records.begin(out, identity, running.invocation(chosen, plan, dataset))
    running.announce(dataset, plan, len(samples), len(cells))
    maps = (out / "maps", runs.unsaved(out / "maps", samples, cells)) if chosen["save_maps"] else None
    coloured = any(map(protocol.grabs, cells))  # GrabCut sees the picture
    measure = partial(runs.measure, plan, runs.localizer(protocol), unsaved=maps, coloured=coloured)
    running.record(out, description, samples, cells, measure, unsaved=maps[1] if maps else None)
    if not chosen["quiet"]:
        summary(out, cells, tables)


def choose(
    network: "Network",
    protocol: "Protocol",
    methods: tuple[str, ...],
    layers: tuple[str, ...],
    variants: tuple[str, ...],
    names: tuple[str, ...],
) -> "tuple[tuple[Cell, ...], list[Table]]":
    """The cells asked for, and the tables they come from.

    With nothing asked for: all that one pass feeds of the shipped tables, or, for a network without the
    tables' layers or in another package's style, the gradient methods on all layers.
    """
    from evaluators import cells, tables

    nothing = not (methods or layers or variants or names)
    found, chosen = cells.of_tables(names, tables.names() if nothing and not protocol.style else (), "localize", network)
    if methods or layers or variants or not found:
        found += cells.product(network, methods, layers, variants, protocol.style)
    measured = set(found)
    return tuple(dict.fromkeys(found)), [t for t in chosen if any(e.cell in measured for e in t.entries)]


def summary(out: Path, cells: "tuple[Cell, ...]", chosen: "list[Table]") -> None:
    """Print what the run's folder now holds of this call's tables, or else of its cells, beside the paper's values."""
    from cli.tables import show
    from evaluators import localize, records, tables

    frame = records.read(out)
    numbers = localize.reduce(frame)
    top1, top5 = localize.classification(frame)
    filled = tables.cells(chosen, out)
    for table in chosen:
        show(table, filled)
    if not chosen:
        _matrix(numbers, cells)
    blank = numbers.loc[[c for c in cells if c in numbers.index], "degenerate"]
    click.echo(
        f"\n{frame['image_id'].nunique()} images, top-1 {top1:.2f} %, top-5 {top5:.2f} %; empty or constant maps {blank.mean():.2f} %"
    )
    click.echo(f"records: {out / 'records'}   what determined them: {out / 'run.json'}")


def _matrix(numbers: Any, cells: "tuple[Cell, ...]") -> None:
    """Methods x metrics down, layers across; in brackets the paper's value."""
    from evaluators import localize, tables
    from evaluators.types import Cell

    paper = {(e.cell, e.metric): e.paper for n in tables.names() for e in tables.load(n).entries if e.cell}
    columns = list(dict.fromkeys((c.layer, c.variant) for c in cells))
    rows = []
    for method in dict.fromkeys(c.method for c in cells):
        for metric in localize.HITS:
            line: list[str | None] = [method, metric]
            for layer, variant in columns:
                cell = Cell(method, layer, variant)
                known = paper.get((cell, metric))
                found = f"{numbers.loc[cell, metric]:.2f}" + (f" ({known:.2f})" if known else "") if cell in cells else None
                line.append(found)
            rows.append(line)
    click.echo("\nPercent; in brackets the paper's value.\n")
    printing.table(rows, ("method", "metric", *(" ".join(filter(None, c)) for c in columns)))
