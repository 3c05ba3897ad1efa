"""The paper's figures on the page: drawn of the runs, as pictures that the page holds."""

import io
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

from PIL import Image

from camx.evaluators import drawings
from camx.evaluators.drawings.segmentations import PREDICTED, PSEUDO
from camx.evaluators.drawings.sources import Choice, Sources
from camx.evaluators.report.page import Picture
from camx.evaluators.results import figures

MAKERS = (PREDICTED, PSEUDO)  # commands that make masks
DPI, QUALITY = 130, 80  # of WebP
GONE = (ValueError, FileNotFoundError, ImportError)  # of a run's data, weights and methods


def drawn(
    sources: Sources, seed: int, lacking: Callable[[str], Any], tick: Callable[[], Any]
) -> Iterator[Picture]:
    """Every figure that a run of the sources suits; `lacking` is told of one that cannot be drawn.

    What no run suits is not drawn: the page is of what was measured.
    """
    for name in figures.names():
        figure = figures.load(name)
        try:
            masks = figure.kind == "masks" and any(r.command in MAKERS for r in sources.runs)
            if not (masks or sources.measured(figure)):
                continue
            made = drawings.draw(figure, sources, Choice(seed=seed))
        except GONE as error:
            lacking(f"{figure.label}: {error}")
        else:
            yield Picture(figure.label, figure.title, _uri(made))
        tick()


def _uri(made: drawings.Drawn) -> str:
    file = io.BytesIO()
    made.picture.savefig(file, format="png", dpi=DPI)
    webp = io.BytesIO()
    Image.open(file).convert("RGB").save(webp, "WEBP", quality=QUALITY)
    return "data:image/webp;base64," + b64encode(webp.getvalue()).decode("ascii")
