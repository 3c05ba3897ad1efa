"""`camx pseudo`: segmentation labels from class activation maps, and how good they are."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import options, printing, running

if TYPE_CHECKING:
    from evaluators.tables import Table
    from evaluators.types import Cell

METHODS = ("layercam", "layercam-normal")  # Table XIII's
FIELDS = ("threshold", "superpixels", "flip", "scales")  # options that stand for a protocol's field


@click.command("pseudo")
@options.selecting
@options.measuring
@click.option("--split", default="train_aug", show_default=True, help="List of images: train_aug, train, val, ...")
@click.option("--threshold", type=float, help="Eq. 10: below it a superpixel is background.  [default: 0.3]")
@click.option("--superpixels", help="slic, none, or a folder of label maps <image>.png, .npy or .mat.  [default: slic]")
@click.option("--scale", "scales", type=float, multiple=True, help="Sizes whose maps are averaged, of the input; repeats.  [default: 1]")
@click.option("--flip", is_flag=True, default=None, help="Average the mirrored image's maps in.")
@click.option("--export", type=click.Choice(["dgcn-cues"]), help="Also write seeds for DGCN: OUT/<cell>.pickle (one cell; --input-list).")
@click.option("--input-list", type=click.Path(dir_okay=False, path_type=Path), help="DGCN's input_list.txt, which numbers the images.")
@options.out("pseudo")
def command(out: Path, **chosen: Any) -> None:
    """Turn each image's maps of its own classes into a segmentation label (eq. 10), and measure it: Table XIII.

    Labels are palette PNGs, OUT/labels/<method>_<layer>/<image>.png, which `camx segment train --labels` reads. Where an
    image has a true mask, the maps thresholded at 0.2 (Table XIII) and the pseudo label are compared with it.

    \b
    camx pseudo                                                  Table XIII on the miniature
    camx pseudo --method layercam --layer S5+S4+S3+S2            the paper's best labels
    camx pseudo --data VOCdevkit --weights results/train-voc/last.safetensors --superpixels folder/
    """
    from evaluators import labelling, pseudo, records, segmenting, superpixels
    from evaluators.cells import asked

    given = {field: chosen[field] for field in FIELDS if chosen[field] not in (None, ())}
    protocol = running.protocol("pseudo", {**chosen, "overrides": dict(chosen["overrides"]) | given})
    if protocol.view != "resize" or protocol.style:
        raise click.UsageError("pseudo labels are made of one view, resize, and in no other package's style; use --scale and --flip")
    if chosen["data"] != "mini" and not chosen["weights"]:
        raise click.UsageError(f"--weights is needed: `camx train voc --data {chosen['data']}` makes a network for it")
    chosen["model"] = chosen["model"] or running.trained(chosen["weights"])
    dataset, network, device = running.load(chosen, protocol.preprocessing, "segmentation", chosen["split"])
    cells, tables = options.checked(asked, "pseudo", network, protocol.style, chosen, ("XIII",), METHODS, "S5")
    if chosen["export"] and (len(cells) != 1 or not chosen["input_list"]):
        raise click.UsageError("--export dgcn-cues needs one cell (--method, --layer) and --input-list FILE")
    plan = running.plan(chosen, network, protocol, cells, device)
    scenes = running.pick(dataset, chosen["sample"], chosen["limit"], chosen["seed"])
    identity = running.identity("pseudo", dataset, network, protocol, chosen["seed"])
    if Path(protocol.superpixels).is_dir():
        identity["superpixels"] = {"fingerprint": superpixels.fingerprint(Path(protocol.superpixels))}
    description = records.begin(out, identity, running.invocation(chosen, plan, dataset))
    running.announce(dataset, plan, len(scenes), len(cells))
    for cell in cells:
        made = {**cell._asdict(), "run": str(out), "classes": list(dataset.classes)}
        segmenting.describe(labelling.label_folder(out, cell), made)
    unsaved = labelling.unsaved(out, scenes, cells)
    loop = partial(labelling.measure, plan, cells, len(dataset.classes), out, unlabelled=unsaved)
    running.record(out, description, scenes, cells, loop, unsaved=unsaved)
    if chosen["export"]:
        numbers = pseudo.input_list(chosen["input_list"])
        path = out / f"{labelling.label_folder(out, cells[0]).name}.pickle"
        without = pseudo.export_cues(path, numbers, labelling.seeds(plan, cells[0], [s for s in scenes if s.image_id in numbers]))
        click.echo(f"seeds: {path} ({len(numbers) - len(without)} of the list's {len(numbers)} images)")
    if not chosen["quiet"]:
        summary(out, cells, tables)


def summary(out: Path, cells: "tuple[Cell, ...]", chosen: "list[Table]") -> None:
    """Print the cells' numbers, the paper's values in brackets."""
    from evaluators import measures

    numbers = measures.numbers(measures.outcomes(out, "pseudo"), "pseudo")
    paper = {(*e.cell, e.metric): e.paper for t in chosen for e in t.entries if e.cell and e.paper and e.command == "pseudo"}
    rows = []
    for cell in cells:
        line: list[str | None] = [cell.method, cell.layer, cell.variant]
        for metric in measures.METRICS["pseudo"]:
            key = (*cell, metric)
            if key not in numbers.index:
                line.append(None)
                continue
            found, known = numbers.loc[key], paper.get(key)
            line.append(f"{found['value']:.2f} [{found['low']:.1f}, {found['high']:.1f}]" + (f" ({known:.2f})" if known else ""))
        rows.append(line)
    click.echo("\nPercent; [95 % interval] (paper)\n")
    printing.table(rows, ("method", "layer", "variant", *measures.METRICS["pseudo"]))
    click.echo("\nmIoU: maps above 0.2, background a class; mIoU-20: class by class; mIoU-pseudo: the pseudo labels (eq. 10)")
    click.echo(f"labels: {out / 'labels'}   records: {out / 'records'}   what determined them: {out / 'run.json'}")
