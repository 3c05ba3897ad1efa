"""Masks of segmentation beside the true ones, as a plate: Figure 9.

Of the networks whose masks `camx segment predict` wrote; where there are none, of the pseudo labels
of `camx pseudo`, which is then said.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from camx.camcore.image_files import read_image
from camx.camcore.suggestions import near
from camx.evaluators import datasets, draws, voc_masks
from camx.evaluators.confusion import IGNORED
from camx.evaluators.drawings.sources import Choice, options_of, place, same
from camx.evaluators.pictures import panel
from camx.evaluators.pictures.panel import Panel
from camx.evaluators.pictures.plate import Plate
from camx.evaluators.records import Run
from camx.evaluators.results.figures import Figure
from camx.evaluators.saved_maps import cell_name
from camx.evaluators.tasks import segment
from camx.evaluators.types import Cell, Dataset, Scene

COLOURS = np.array(voc_masks.palette(), np.uint8).reshape(-1, 3)
PREDICTED, PSEUDO = "segment predict", "pseudo"
MAKES = "`camx pseudo --table X`, then `camx segment train` and `camx segment predict` make some"
Masks = Mapping[Cell, tuple[Run, Path]]  # a run, and its folder of the cell's masks


def plate(figure: Figure, runs: Sequence[Run], choice: Choice) -> tuple[Plate, list[str]]:
    """The figure's masks, and lines on those that no run has.

    `runs` come newest first. Raises `ValueError` when none of them has any.
    """
    cells = list(dict.fromkeys(figure.cells.values()))
    held = _masks(runs, cells, PREDICTED) or _masks(runs, cells, PSEUDO)
    if not held:
        raise ValueError(f"no run has masks of {', '.join(map(str, cells))}; {MAKES}")
    run = next(iter(held.values()))[0]
    try:
        split = str(options_of(run).get("split") or "")
        dataset = same(datasets.load(place(run), "segmentation", split), run)
    except (ValueError, FileNotFoundError) as error:
        raise ValueError(f"{run.folder / 'run.json'}: {error}") from None
    scenes = _pick(dataset, [folder for _, folder in held.values()], choice, figure.images)
    notes = [
        f"{cell} is left out: no run has its masks; {MAKES}" for cell in cells if cell not in held
    ]
    return _arranged(figure, held, dataset, scenes), notes


def _masks(runs: Sequence[Run], cells: Sequence[Cell], command: str) -> Masks:
    """The newest folder of masks of each cell that a command made, all of the same images."""
    held: dict[Cell, tuple[Run, Path]] = {}
    fingerprint = ""
    for run in (run for run in runs if run.command == command):
        places = {cell: run.folder / "labels" / cell_name(cell) for cell in cells}
        if command == PREDICTED:
            folder = run.folder / "masks"
            places = {segment.cell_of(folder).map: folder} if folder.is_dir() else {}
        for cell in cells:
            there = cell in places and any(places[cell].glob("*.png"))
            if there and cell not in held and fingerprint in ("", run.fingerprint):
                held[cell], fingerprint = (run, places[cell]), run.fingerprint
    return {cell: held[cell] for cell in cells if cell in held}


def _pick(
    dataset: Dataset[Scene], folders: Sequence[Path], choice: Choice, count: int
) -> list[Scene]:
    """Scenes that have a mask in every folder: those named, or some drawn at random."""
    names = [{path.stem for path in folder.glob("*.png")} for folder in folders]
    scenes = [s for s in dataset.samples if all(s.image_id in held for held in names)]
    if not scenes:
        raise ValueError(f"{folders[0]}: no image has masks of every column")
    by_name = {scene.image_id: scene for scene in scenes}
    for image in (image for image in choice.images if image not in by_name):
        accepted = f"such as {scenes[0].image_id}{near(image, by_name)}"
        raise ValueError(f"{image}: no image that has masks; accepted: {accepted}")
    drawn = draws.pick(scenes, choice.count or count, None, choice.seed)
    return [by_name[image] for image in choice.images] or list(drawn)


def _arranged(
    figure: Figure, held: Masks, dataset: Dataset[Scene], scenes: Sequence[Scene]
) -> Plate:
    """Scenes down; the image, its truth and each cell's mask across."""
    columns = {title: figure.cells[0, at] for at, title in enumerate(figure.columns)}
    columns = {title: cell for title, cell in columns.items() if cell in held}
    panels: dict[tuple[int, int], Panel] = {}
    indices: set[int] = set()
    for row, scene in enumerate(scenes):
        panels[row, 0] = Panel(np.asarray(read_image(scene.path)))
        files = [scene.mask, *(held[c][1] / f"{scene.image_id}.png" for c in columns.values())]
        for column, file in enumerate(files, 1):
            if file is None:
                panels[row, column] = panel.of_mask(None, panels[row, 0].image)
            else:
                mask = voc_masks.read_mask(file, len(dataset.classes))
                indices |= set(voc_masks.present(mask))
                panels[row, column] = Panel(COLOURS[mask])
    (run, _), *_ = held.values()
    what = f"masks of {run.model}, trained on pseudo labels of the maps"
    if run.command == PSEUDO:
        what = f"pseudo labels of the maps of {run.model}; no network has learned from them"
    folders = ", ".join(dict.fromkeys(str(run.folder) for run, _ in held.values()))
    return Plate(
        f"{figure.label}. {figure.title}", (what, f"data {dataset.name}: {folders}"),
        tuple(scene.image_id for scene in scenes), ("image", "ground truth", *columns), panels,
        colours={_name(index, dataset): COLOURS[index] / 255 for index in sorted(indices)},
    )  # fmt: skip


def _name(index: int, dataset: Dataset[Scene]) -> str:
    """What an index of a mask is."""
    if index in (0, IGNORED):
        return "not counted" if index else "background"
    return dataset.classes[index - 1]
