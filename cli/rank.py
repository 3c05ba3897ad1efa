"""`camx rank`: which method is best, how sure that is, and whether the measures agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from camx.camcore.suggestions import near
from camx.cli import options, tabular
from camx.cli.shared import RunsOptions
from camx.cli.tables import recorded_tasks
from camx.cli.tabular import INTERVAL, Number, Tabular
from camx.evaluators import files
from camx.evaluators.fields import number, text, whole

if TYPE_CHECKING:
    import pandas as pd

    from camx.evaluators.results.agreement import Agreement
    from camx.evaluators.results.blocks import Comparison
    from camx.evaluators.results.rankings import Ranking, Recorded

BEST_LAYER = "each method at its best layer"
SEVERAL = (
    "no critical difference: it needs two runs or more of one protocol that rank the same methods, "
    "on other data sets or of other networks"
)


@dataclass(frozen=True, kw_only=True)
class RankOptions(RunsOptions):
    """Which runs, what they are ranked by, and how."""

    data: str | None = text(
        default=None, names="datasets",
        help="Only runs on this data set: its name or folder.  [default: every run]",
    )  # fmt: skip
    metrics: tuple[str, ...] = text(
        many="loc1", default=(), option="--metric", metavar="METRIC",
        help="Rank by this metric; repeats.  [default: every one with a better side]",
    )  # fmt: skip
    layers: tuple[str, ...] = text(
        many="S5", default=(), option="--layer", metavar="LAYER", names="layers",
        help="Rank methods at this layer, or at the best of each: best; repeats.  [default: both, "
        "and best is printed]",
    )  # fmt: skip
    draws: int = whole(100, 1_000_000, default=2000, help="Resamples of the images.")
    rope: float = number(
        0, default=1.0, help="Points within which two methods are practically the same."
    )
    alpha: float = number(
        0, 1, above=True, below=True, default=0.05, help="Level of the critical difference."
    )

    def prints(self, ranking: "Ranking") -> bool:
        """Whether a table shows it; the files hold all.

        Metrics that are recorded and not shown, such as deletion, are where a run has no others.
        """
        metrics = ranking.source.task.metrics
        others = any(metrics[name].shown for name in ranking.source.series)
        shown = ranking.metric.shown or ranking.metric.name in self.metrics or not others
        return shown and (bool(self.layers) or ranking.place.startswith("best"))


@click.command("rank")
@options.typed(RankOptions)
@tabular.form
@options.out("rank")
@options.common
def command(wanted: RankOptions, out: Path) -> None:
    """Rank the methods of recorded runs by each metric, and say how sure the order is.

    The images of a run are resampled, the same ones for all its methods: OUT/rank.csv holds each
    method's probability to be the best and the interval of its rank. Over several data sets and
    networks: Friedman's test, and critical-difference diagrams (critical.csv, critical_METRIC.png).
    Between metrics: Kendall's tau (agreement.csv).

    \b
    camx rank --runs example                   each method at its best layer
    camx rank --layer S5 --metric loc1         at one layer, by one metric
    """
    from camx.evaluators.results import agreement, rankings

    tasks = recorded_tasks(wanted.runs)
    options.checked(rankings.check, wanted.metrics, tasks)
    frames: list[pd.DataFrame] = []
    ranked: list[Ranking] = []
    agreements: list[Agreement] = []
    for source in rankings.recorded(wanted.runs, tasks, wanted.data, wanted.metrics):
        every = list(rankings.rankings(source, wanted.layers, wanted.draws, wanted.seed))
        standings = {id(r): rankings.standings(r, wanted.rope) for r in every}
        frames += standings.values()
        ranked += every
        agreements += agreement.agreements(source, every)
        show_standings(wanted, source, [(r, standings[id(r)]) for r in every])
    check_ranked(wanted, ranked)
    write(wanted, frames, ranked, agreement.with_means(agreements), out)


def check_ranked(wanted: RankOptions, ranked: "Sequence[Ranking]") -> None:
    """Raise `ValueError` where nothing is ranked, or nothing at a layer that was asked for."""
    from camx.evaluators import records

    where = f"below {wanted.runs}"
    if not ranked:
        names = sorted({run.dataset["name"] for run in records.find(wanted.runs)})
        if wanted.data and wanted.data not in names:
            raise ValueError(f"no run on data {wanted.data!r}; {where} are: {', '.join(names)}")
        by = f" by {', '.join(wanted.metrics)}" if wanted.metrics else ""
        at = f" at {', '.join(wanted.layers)}" if wanted.layers else ""
        what = f"no run {where} has two methods measured{by}{at}"
        raise ValueError(f"{what}; `camx localize` measures several. Nothing was written")
    held = {"best"} | {cell.layer for r in ranked for cell in r.cells}
    for layer in (name for name in wanted.layers if name not in held):
        accepted = f"{', '.join(sorted(held))}{near(layer, held)}"
        raise ValueError(f"no run {where} has two methods at layer {layer!r}; there: {accepted}")


def write(
    wanted: RankOptions,
    frames: "Sequence[pd.DataFrame]",
    ranked: "Sequence[Ranking]",
    agreements: "Sequence[Agreement]",
    out: Path,
) -> None:
    """Print what compares runs and metrics; write all files."""
    import pandas as pd

    from camx.evaluators.results import agreement, blocks

    compared = blocks.comparisons(ranked, wanted.alpha)
    shown = {(r.metric.name, r.place) for r in ranked if wanted.prints(r)}
    drawn = [c for c in compared if (c.metric, c.place) in shown]
    show_comparisons(drawn)
    show_agreements(agreements, {name for name, _ in shown})
    rows = [c.frame for c in compared] or [pd.DataFrame(columns=blocks.COLUMNS)]
    contents = {
        "rank.csv": pd.concat(frames, ignore_index=True),
        "critical.csv": pd.concat(rows, ignore_index=True),
        "agreement.csv": agreement.frame(agreements),
    }
    for name, frame in contents.items():
        files.write_text(out / name, frame.to_csv(index=False))
    paths = [*(out / name for name in contents), *draw(drawn, out)]
    files.sweep(out, files.STALE)
    if not compared:
        click.echo(f"\n{SEVERAL}")
    click.echo("\nwrote " + ", ".join(map(str, paths)))


def draw(compared: "Sequence[Comparison]", out: Path) -> list[Path]:
    """Write a diagram of each comparison, ``critical_loc1.png`` and so on."""
    from camx.evaluators import pictures
    from camx.evaluators.pictures import ladder
    from camx.evaluators.results import blocks

    paths = []
    for name, comparison in blocks.file_names(compared).items():
        paths.append(out / f"{name}.png")
        pictures.write(ladder.draw(blocks.ladder_of(comparison)), paths[-1])
    return paths


def show_standings(
    wanted: RankOptions, source: "Recorded", ranked: "Sequence[tuple[Ranking, pd.DataFrame]]"
) -> None:
    """A table of each place of a run: its metrics and methods down, the best first."""
    shown = [(r, frame) for r, frame in ranked if wanted.prints(r)]
    ahead = f"P(> {wanted.rope:g} ahead)"
    heads = ["metric", "method", "layer", "value", "mean rank"]
    heads += ["P(best)", "P(first two)", ahead, "P(alike)", "n"]
    for place in dict.fromkeys(r.place for r, _ in shown):
        rows = [_standing(r) for s, frame in shown if s.place == place for r in frame.itertuples()]
        where = place.replace("best", BEST_LAYER, 1) if place.startswith("best") else f"at {place}"
        title = f"{source.run.folder}: {source.run.about()}; {where}"
        told = f"Ranks from 1 (the best) {INTERVAL} in {wanted.draws} resamples of the images"
        notes = [
            f"{ahead}: better than the method below it by more points than that; "
            "P(alike): no further apart"
        ]
        tabular.write(Tabular(heads, rows, 3, title, told, notes, kept="rank.csv"))


def _standing(row: Any) -> list[object]:
    """A line of a table: texts, empty where there is no number."""
    told = row.mean_rank == row.mean_rank
    mean = Number(row.mean_rank, interval=(row.rank_low, row.rank_high), digits=1) if told else None
    shares = [_share(v) for v in (row.p_best, row.p_first_two, row.p_more, row.p_alike)]
    at = " ".join(filter(None, (row.layer, row.variant)))
    return [row.metric, row.method, at, f"{row.value:.2f}", mean, *shares, row.n]


def _share(value: float) -> str:
    return "" if value != value else f"{value:.2f}"


def show_comparisons(compared: "Sequence[Comparison]") -> None:
    """A table of each command, protocol and place: mean ranks, and who is told apart."""
    alike: dict[tuple[str, ...], list[Comparison]] = {}
    for each in compared:
        alike.setdefault((each.command, each.protocol, each.place), []).append(each)
    heads = ("metric", "method", "mean rank", "group", "critical difference", "test", "p")
    for (command, protocol, place), group in alike.items():
        rows = [row for each in group for row in _lines(each)]
        where = place.replace("best", BEST_LAYER, 1) if place.startswith("best") else f"at {place}"
        title = f"Over runs: {command}, protocol {protocol}; {where}"
        told = (
            "Methods that share a letter are less than the critical difference of mean ranks apart "
            f"(Nemenyi, alpha {group[0].alpha:g})"
        )
        notes = [
            f"{each.metric}: not in every run, and left out: {', '.join(each.missing)}"
            for each in group if each.missing
        ]  # fmt: skip
        tabular.write(Tabular((*heads, "p (Iman-Davenport)", "runs"), rows, 2, title, told, notes))


def _lines(compared: "Comparison") -> list[list[object]]:
    """A line a method; what is of all of them is on the first."""
    test = compared.test
    rest: list[object] = [f"{compared.difference:.2f}", test.name, f"{test.p_value:.2g}"]
    rest += [_small(test.p_f), len(compared.runs)]
    rows = list[list[object]]()
    for method, mean, letters in zip(compared.methods, compared.means, compared.frame["groups"]):
        rows.append([compared.metric, method, f"{mean:.2f}", letters, *rest])
        rest = [None] * len(rest)
    return rows


def _small(p_value: float) -> str:
    return "" if p_value != p_value else f"{p_value:.2g}"


def show_agreements(agreements: "Sequence[Agreement]", metrics: set[str]) -> None:
    """Kendall's tau of a run, or the mean over all of a command, of the metrics that are shown."""
    last = {(each.command, each.over): each for each in agreements}
    for (command, over), each in last.items():
        places = [at for at, name in enumerate(each.metrics) if name in metrics]
        if len(places) < 2:
            continue
        names = [each.metrics[at] for at in places]
        rows = [
            [name, *(_share(each.taus[at, other]) for other in places)]
            for name, at in zip(names, places)
        ]
        runs = "mean over runs" if each.run == "mean" else each.run
        what = BEST_LAYER if over == "methods" else "every method at every layer"
        title = f"Do metrics agree? {command}, {runs}; {what}"
        told = "Kendall's tau-b: 1 the same order, 0 none in common, -1 the opposite"
        tabular.write(Tabular(("", *names), rows, 1, title, told))
