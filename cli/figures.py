"""`camx figures`: the paper's Figures 1 and 4 to 10, of recorded runs or computed on the spot."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from camx.cli import options
from camx.cli.shared import NetworkOptions, pick_device
from camx.evaluators.fields import Checked, path, text, whole

if TYPE_CHECKING:
    from camx.evaluators.drawings.sources import Choice, Sources
    from camx.evaluators.results.figures import Figure

FORMATS = ("png", "pdf")


@dataclass(frozen=True, kw_only=True)
class FigureOptions(Checked):
    """Which figures, and of what."""

    figures: tuple[str, ...] = text(
        many="5", default=(), option="--figure", metavar="FIGURE",
        help="Only this figure: 1, 4, ... 10, or FILE.yaml; repeats.",
    )  # fmt: skip
    runs: Path = path(
        default=Path("results"), help="Where to look for the runs that the figures are of."
    )
    data: str | None = text(
        default=None, help="Instead of a run: folder of a data set, or a name of `camx list`."
    )
    protocol: str | None = text(
        default=None, help="Instead of a run's: a name of `camx list protocols`, or FILE.yaml."
    )
    count: int | None = whole(
        1, default=None, option="--images", help="Images of each figure.  [default: its own]"
    )
    seed: int = whole(0, default=0, help="Seed of the images drawn, and of the feature maps.")
    formats: tuple[str, ...] = text(
        many="png", default=FORMATS, option="--format", metavar="FORMAT",
        help="png or pdf, whose boxes and words are vectors; repeats.  [default: both]",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.formats:
            if name not in FORMATS:
                raise ValueError(f"format {name!r} is none; accepted: {', '.join(FORMATS)}")


@click.command("figures")
@click.argument("images", nargs=-1, metavar="[IMAGE]...")
@options.typed(FigureOptions, NetworkOptions)
@options.out("figures")
@options.common
def command(
    wanted: FigureOptions, asked: NetworkOptions, images: tuple[str, ...], out: Path
) -> None:
    """Draw the paper's figures, figure_05.png and .pdf and so on.

    Each is of the newest run below --runs that suits it, whose data and network are loaded again;
    of --data, --model, --weights and --protocol where one of them is given; or of the miniature.
    An IMAGE is a file, or the name of an image of the data, drawn instead of some at random.

    \b
    camx figures --figure 5 --images 6
    camx figures --figure 6 PHOTO.jpg --model efficientnet-lite0
    """
    from camx.evaluators.drawings.sources import Choice, Sources, Spot
    from camx.evaluators.results import figures

    names = wanted.figures or figures.names()
    loaded = [options.checked(figures.load, name) for name in names]
    spot = Spot(wanted.data, asked.model, asked.weights, wanted.protocol, asked.download)
    sources = Sources(wanted.runs, pick_device(asked.device), spot)
    shown = Choice(images, wanted.count, wanted.seed)
    done = [figure for figure in loaded if drawn(figure, sources, shown, wanted.formats, out)]
    if not done:
        labels = ", ".join(figure.label for figure in loaded)
        raise ValueError(f"nothing was drawn of {labels}")


def drawn(
    figure: "Figure", sources: "Sources", shown: "Choice", formats: tuple[str, ...], out: Path
) -> bool:
    """Draw and write a figure, and say so; or say why it cannot be drawn."""
    from camx.evaluators import drawings

    try:
        made = drawings.draw(figure, sources, shown)
    except (ValueError, FileNotFoundError) as error:
        click.echo(f"{figure.label} is left out: {error}", err=True)
        return False
    paths = drawings.write(made, out, formats)
    click.echo(f"{figure.label}: {', '.join(map(str, paths))}")
    for line in made.notes:
        click.echo(f"{figure.label}: {line}", err=True)
    return True
