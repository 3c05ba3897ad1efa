"""Drawings: a declarative figure as a picture, from a recorded run or computed on the spot.

`draw` is the whole of it: a figure by its name, the newest run below a folder that suits it, or the
miniature without one. The run's network, data and protocol are loaded again from where its
``run.json`` says they are, and refused if they are others now.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.figure import Figure as Picture

from camx.evaluators import pictures
from camx.evaluators.drawings import distributions, overlays, segmentations
from camx.evaluators.drawings.sources import Choice, Sources, pick
from camx.evaluators.files import write_text
from camx.evaluators.pictures import charts, plate
from camx.evaluators.results import figures
from camx.evaluators.results.figures import Figure


@dataclass(frozen=True)
class Drawn:
    """A figure drawn: lines on what it is of, and on what of it is missing; its numbers as CSV."""

    figure: Figure
    picture: Picture = field(repr=False)
    about: tuple[str, ...]
    notes: tuple[str, ...] = ()
    numbers: str = field(default="", repr=False)


def draw(
    figure: str | Figure, sources: Sources | Path | None = None, choice: Choice | None = None
) -> Drawn:
    """Draw a figure, a shipped one by its name, or a ``FILE.yaml``.

    `sources` are a folder of runs, or `Sources` that several figures share: the newest run that
    suits is taken, or without one the miniature. Raises `ValueError` or `FileNotFoundError`, a line
    that says what cannot be drawn and why.
    """
    figure = figures.load(figure) if isinstance(figure, str) else figure
    choice = choice or Choice()
    sources = sources if isinstance(sources, Sources) else Sources(sources)
    if figure.kind == "masks":
        masks, notes = segmentations.plate(figure, sources.runs, choice)
        return Drawn(figure, plate.draw(masks), masks.about, tuple(notes))
    source = sources.of(figure, choice.images)
    samples = pick(source, choice, figure.images)
    if figure.kind == "gradients":
        chart = distributions.chart(figure, source, samples, choice.seed)
        numbers = distributions.numbers(chart)
        return Drawn(figure, charts.draw(chart), source.about, (), numbers)
    maps, notes = overlays.plate(figure, source, samples)
    return Drawn(figure, plate.draw(maps), source.about, tuple(notes))


def write(drawn: Drawn, folder: Path, formats: Iterable[str] = pictures.FORMATS) -> list[Path]:
    """Write a figure as ``figure_05.png`` and the like, and its numbers; returns the files."""
    paths = []
    for suffix in formats:
        paths.append(folder / figures.file_name(drawn.figure, suffix))
        pictures.write(drawn.picture, paths[-1])
    if drawn.numbers:
        paths.append(folder / figures.file_name(drawn.figure, "csv"))
        write_text(paths[-1], drawn.numbers)
    return paths
