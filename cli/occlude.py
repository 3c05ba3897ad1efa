"""`camx occlude`: what the network loses when what a map points at is hidden, one record per image and cell."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import options, printing, running

if TYPE_CHECKING:
    from evaluators.tables import Table
    from evaluators.types import Cell

FIELDS = ("threshold", "fill", "score", "start", "steps")  # options that stand for a protocol's field
METHODS = ("gradcam", "gradcampp", "layercam")  # Table VI's
USED = {
    ("--threshold", "threshold"): ("occlusion",),
    ("--area", "areas"): ("occlusion",),
    ("--fill", "fill"): ("occlusion", "deletion"),
    ("--start", "start"): ("insertion",),
    ("--steps", "steps"): ("deletion", "insertion"),
}  # by which metrics
ROWS = ("top1", "top5", "confidence")


@click.command("occlude")
@options.selecting
@options.measuring
@click.option(
    "--metric",
    type=click.Choice(["occlusion", "deletion", "insertion"]),
    default="occlusion",
    show_default=True,
    help="Occlusion at one threshold, or RISE's curve over all of them.",
)
@click.option("--threshold", type=float, help="Hide pixels above this share of the map's maximum.  [default: 0.7]")
@click.option(
    "--area",
    "areas",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    multiple=True,
    help="Hide instead this share of the pixels, the map's highest: one area for every method; repeats.",
)
@click.option("--random", is_flag=True, help="Also each mask at a random place: the same hole elsewhere.")
@click.option("--fill", type=click.Choice(["mean", "black", "blur"]), help="What hides them.  [default: mean]")
@click.option(
    "--score",
    type=click.Choice(["sum", "mean"]),
    help="Confidence: softmax of the crops' summed logits, or mean of their softmaxes.  [default: sum]",
)
@click.option(
    "--denominator",
    type=click.Choice(["all", "correct"]),
    default="all",
    show_default=True,
    help="Print shares of all images, or of those recognised unchanged; both are recorded.",
)
@click.option("--start", type=click.Choice(["mean", "black", "blur"]), help="What an insertion curve starts from.  [default: blur]")
@click.option("--steps", type=click.IntRange(min=1), help="Steps of a curve.  [default: one a row of the grid, as RISE's]")
@options.out("occlude")
def command(out: Path, **chosen: Any) -> None:  # fmt: skip
    """Hide what a map points at and ask the network again: Table VI, and deletion and insertion curves.

    Images that the network recognises are occluded, the others pass unchanged. Lower is better, but a bigger
    hole also lowers the score: the share hidden stands beside each row, and --area hides the same share for all.

    \b
    camx occlude                                                 Table VI on the miniature
    camx occlude --protocol single --area 0.1 --random           equal holes, and the same holes elsewhere
    camx occlude --protocol single --metric deletion --sample 40 RISE's deletion curve
    camx occlude --data ILSVRC --weights vgg16.pth               the paper's experiment
    """
    from evaluators import occlude, perturb, records
    from evaluators.cells import asked

    check(chosen)
    given = {field: chosen[field] for field in FIELDS if chosen[field] is not None}
    protocol = running.protocol("occlude", {**chosen, "overrides": dict(chosen["overrides"]) | given})
    dataset, network, device = running.load(chosen, protocol.preprocessing)
    own, table = options.checked(asked, "occlude", network, protocol.style, chosen, ("VI",), METHODS, "S5")
    turns = (False, True) if chosen["random"] else (False,)
    cells = [
        occlude.hole(c, area or occlude.parts(c)[1], random or occlude.parts(c)[2])
        for area in chosen["areas"] or (None,)
        for random in turns
        for c in own
    ]
    cells = list(dict.fromkeys(cells))
    if chosen["metric"] != "occlusion" and any(occlude.parts(c)[1] for c in cells):
        raise click.UsageError(f"a table's area is of one hole; {chosen['metric']} goes through all areas")
    plan = running.plan(chosen, network, protocol, list(dict.fromkeys(occlude.parts(c)[0] for c in cells)), device)
    samples = running.pick(dataset, chosen["sample"], chosen["limit"], chosen["seed"])
    identity = running.identity("occlude", dataset, network, protocol, chosen["seed"])
    description = records.begin(out, identity, running.invocation(chosen, plan, dataset))
    running.announce(dataset, plan, len(samples), len(cells))
    curve = occlude.CURVES.get(chosen["metric"])
    loop = partial(perturb.curves, chosen["metric"]) if curve else perturb.occlude
    running.record(out, description, samples, cells, partial(loop, plan, cells, chosen["seed"]), curve or "records")
    if not chosen["quiet"]:
        summary(out, cells, chosen["metric"], chosen["denominator"], table)


def check(chosen: dict[str, Any]) -> None:
    """Refuse an option that the metric would not hear."""
    metric = chosen["metric"]
    for option, name in USED:
        if chosen[name] not in (None, (), False) and metric not in USED[option, name]:
            raise click.UsageError(f"{option} says nothing about {metric}; it is of {' and '.join(USED[option, name])}")


def summary(out: Path, cells: "list[Cell]", metric: str, denominator: str, chosen: "list[Table]") -> None:
    """Print what the run's folder now holds of these cells, the paper's values in brackets."""
    from evaluators import measures, occlude, tables

    numbers = measures.numbers(measures.outcomes(out, "occlude"), "occlude")
    paper = {(*e.cell, e.metric): e.paper for t in chosen for e in t.entries if e.cell and e.paper and e.command == "occlude"}
    suffix = "" if denominator == "all" else "-correct"
    columns = [f"{row}{suffix}" for row in ROWS] + ["occluded", "degenerate"] if metric == "occlusion" else [metric, f"{metric}-degenerate"]
    rows = []
    for cell in [occlude.ORIGINAL] * (metric == "occlusion") + cells:
        held = {c: numbers.loc[(*cell, c)] for c in columns if (*cell, c) in numbers.index}
        line = [cell.method, cell.layer, cell.variant]
        for column in columns:
            known = paper.get((*cell, column))
            interval = "" if column.endswith(("occluded", "degenerate")) else " [{low:.1f}, {high:.1f}]"
            text = ("{value:.2f}" + interval).format(**held[column]) if column in held else ""
            line.append(text + (f" ({known:.2f})" if known else ""))
        rows.append([*line, f"{held[columns[0]]['n']:.0f}" if columns[0] in held else "0"])
    of = {"occlusion": f"Percent, of {'all' if denominator == 'all' else 'the recognised'} images"}.get(
        metric, "Area x 100, recognised images"
    )
    click.echo(f"\n{of}; [95 % interval] (paper)\n")
    printing.table(rows, ("method", "layer", "variant", *columns, "n"))
    click.echo(
        "\noccluded: mean share of a recognised image that was hidden; " * (metric == "occlusion") + "degenerate: empty or constant maps"
    )
    kind = occlude.CURVES.get(metric, "records")
    click.echo(f"records: {out / kind}   what determined them: {out / 'run.json'}   {tables.file_name(tables.load('VI'))}: camx tables")
