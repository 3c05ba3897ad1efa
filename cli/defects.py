"""`camx defects`: how well maps mark defects, from a classifier that only knows good from defective."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import options, printing, running

if TYPE_CHECKING:
    from evaluators.runs import Plan
    from evaluators.tables import Table
    from evaluators.types import Cell, Dataset, Sample

METHODS = ("gradcam", "gradcampp", "layercam")  # Table VII's


@click.command("defects")
@options.selecting
@options.measuring
@click.option(
    "--split",
    default="official",
    show_default=True,
    help="official, TRAIN/TEST drawn (--seed) such as 3550/400, or a folder with train.txt and test.txt.",
)
@click.option(
    "--threshold-split",
    type=click.Choice(["test", "train"]),
    default="test",
    show_default=True,
    help="train: also find the best threshold on the training images, the honest variant.",
)
@click.option("--thresholds", type=click.IntRange(1, 255), help="How many thresholds are tried.  [default: 99]")
@click.option("--iterations", type=click.IntRange(min=0), default=100, show_default=True, help="Timed iterations a cell; 0 times nothing.")
@click.option("--sheet", type=click.Path(dir_okay=False, path_type=Path), help="Also draw image, truth and maps: FILE.png.")
@click.option("--sheet-images", type=click.IntRange(min=1), default=6, show_default=True, help="Images of the sheet.")
@options.out("defects")
def command(out: Path, **chosen: Any) -> None:  # fmt: skip
    """Measure how well maps mark the defects of defective images: Tables VII and VIII.

    The network comes from `camx train defects`. Each cell gets its best threshold: that with the highest mean IoU on
    the test images themselves, as in the paper, or on the training images (--threshold-split train).

    \b
    camx defects                                               Tables VII and VIII on the miniature
    camx defects --layer layer3 --sheet sheet.png              three methods at one layer, and pictures
    camx defects --data DAGM2007 --weights results/train-defects/last.safetensors
    camx defects --data mine.csv --weights W --layer 'layer3[-2]' --layer layer4+layer3 --method layercam
    """
    from evaluators import records, runs, splits
    from evaluators.cells import asked

    overrides = dict(chosen["overrides"]) | ({"thresholds": chosen["thresholds"]} if chosen["thresholds"] else {})
    protocol = running.protocol("defects", {**chosen, "overrides": overrides})
    if chosen["data"] != "mini" and not chosen["weights"]:
        raise click.UsageError(f"--weights is needed: `camx train defects --data {chosen['data']}` makes a network for it")
    chosen["model"] = chosen["model"] or running.trained(chosen["weights"])
    dataset, network, device = running.load(chosen, protocol.preprocessing, "defects")
    dataset = options.checked(splits.apply, dataset, chosen["split"], chosen["seed"])
    own, tables = options.checked(asked, "defects", network, protocol.style, chosen, ("VII", "VIII"), METHODS, "layer3")
    _same_split(chosen["weights"], dataset)
    plan = running.plan(chosen, network, protocol, own, device)
    samples = pick(dataset, chosen)
    identity = running.identity("defects", dataset, network, protocol, chosen["seed"])
    description = records.begin(out, identity, running.invocation(chosen, plan, dataset))
    running.announce(dataset, plan, len(samples), len(own))
    running.record(out, description, samples, own, partial(runs.measure, plan, runs.inspector(protocol)))
    if chosen["iterations"]:
        clock(out, plan, samples[0], chosen["iterations"])
    if chosen["sheet"]:
        sheet(plan, protocol.interpolation, samples, chosen["sheet_images"], chosen["seed"], chosen["sheet"])
    if not chosen["quiet"]:
        summary(out, own, tables)


def _same_split(weights: str | None, dataset: "Dataset") -> None:
    """Say so when the run beside the weights learned from another split of this data."""
    from evaluators import records

    if not weights or not Path(weights).with_name("run.json").is_file():
        return
    made = records.load(Path(weights).parent)
    here = str(dataset.root) == made.get("dataset", {}).get("root")
    if made["command"] == "train defects" and here and made["data"]["fingerprint"] != dataset.fingerprint:
        click.echo(f"warning: {weights} learned from another split of {dataset.root}, perhaps from these test images", err=True)


def pick(dataset: "Dataset", chosen: dict[str, Any]) -> "tuple[Sample, ...]":
    """The defective test images, and the training ones where the threshold is found on them. `ValueError` if there are none."""
    import dataclasses

    found: list[Sample] = []
    for split in ("test", "train")[: 1 + (chosen["threshold_split"] == "train")]:
        defective = tuple(s for s in dataset.samples if s.split == split and s.label == 1 and (s.mask or split == "test"))
        if not defective:
            raise ValueError(f"{dataset.root}: no defective {split} image with a mask, so nothing to measure")
        if unmarked := [s for s in defective if not s.mask]:
            raise ValueError(
                f"{unmarked[0].path}: a defective test image without a mask ({len(unmarked)} of them); only training does without"
            )
        found += running.pick(dataclasses.replace(dataset, samples=defective), chosen["sample"], chosen["limit"], chosen["seed"])
    return tuple(found)


def clock(out: Path, plan: "Plan", sample: "Sample", iterations: int) -> None:
    """Time the cells that were not timed on this device before."""
    import dataclasses

    import torch

    from evaluators import runs, timing

    held = timing.held(out, plan.device, iterations, plan.batch)
    cells = [cell for cell in plan.cells if cell not in held]
    if not cells:
        return
    image = torch.from_numpy(runs.decode(plan, sample).squashed)
    with printing.progress(iterations + timing.WARM_UP + timing.BATCHES + 2, 0, "timing") as bar:
        timing.save(out, timing.measure(dataclasses.replace(plan, cells=tuple(cells)), cells, image, iterations, bar.update))


def sheet(plan: "Plan", interpolation: str, samples: "tuple[Sample, ...]", count: int, seed: int, path: Path) -> None:
    """Draw some test images, their truth and every cell's map."""
    import numpy as np
    import torch

    from camcore import views
    from evaluators import figures, heatmaps, masks, runs

    tests = [s for s in samples if s.split == "test"]
    drawn = np.random.default_rng(seed).choice(len(tests), min(count, len(tests)), replace=False)
    rows = []
    for sample in (tests[at] for at in sorted(drawn)):
        image = views.read_image(sample.path)
        maps, _ = runs.image_maps(plan, torch.from_numpy(views.squash(image, plan.view.grid))[None], torch.tensor([1]))
        shown = {" ".join(filter(None, cell)): heatmaps.on_image(grid[0], image.size, interpolation) for cell, grid in maps.items()}
        rows.append((sample.image_id, np.asarray(image), masks.truth(sample, image.size), shown))
    path.parent.mkdir(parents=True, exist_ok=True)
    figures.contact_sheet(rows, path)
    click.echo(f"sheet: {path}")


def summary(out: Path, cells: "tuple[Cell, ...]", chosen: "list[Table]") -> None:
    """Print the cells' numbers, the paper's values in brackets."""
    from evaluators import measures, tables

    numbers = measures.numbers(measures.outcomes(out, "defects"), "defects")
    known = [tables.load(name) for name in ("VII", "VIII")] + chosen
    paper = {(*e.cell, e.metric): e.paper for t in known for e in t.entries if e.cell and e.paper and e.command == "defects"}
    held = set(numbers.index.get_level_values("metric"))
    columns = [m for m in measures.METRICS["defects"] if m in held and m not in ("recognised", "AP-image")]
    rows = []
    for cell in cells:
        line: list[str | None] = [cell.method, cell.layer, cell.variant]
        for column in columns:
            key = (*cell, column)
            if key not in numbers.index:
                line.append(None)
                continue
            found, value = numbers.loc[key], paper.get(key)
            interval = f" [{found['low']:.1f}, {found['high']:.1f}]" if column in ("mIoU", "mIoU-train", "set IoU", "AP") else ""
            line.append(f"{found['value']:.2f}{interval}" + (f" ({value:.2f})" if value else ""))
        rows.append(line)
    some = numbers.loc[(*cells[0], "mIoU")]
    click.echo(f"\nPercent of {int(some['n'])} defective test images; FPS in images a second; [95 % interval] (paper)\n")
    printing.table(rows, ("method", "layer", "variant", *columns))
    recognised = numbers.loc[(*cells[0], "recognised"), "value"]
    click.echo(f"\nthe network calls {recognised:.2f} % of them defective; degenerate: images whose map was empty or constant")
    click.echo("threshold: of the map's maximum, the best on these images (-train: on the training images)")
    click.echo(f"records: {out / 'records'}   timings: {out / 'timing.parquet'}   what determined them: {out / 'run.json'}")
