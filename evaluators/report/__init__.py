"""The report: recorded runs as one page to look at."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from camx.evaluators import files, grids, tasks
from camx.evaluators.drawings import sources
from camx.evaluators.records import Run
from camx.evaluators.report import costs, figures, gallery, graphs, numbers
from camx.evaluators.report.gallery import Gallery
from camx.evaluators.report.numbers import Section
from camx.evaluators.report.page import Page, Picture, described, rendered
from camx.evaluators.report.plots import Plot
from camx.evaluators.results import claims, filling, layers, tables
from camx.evaluators.results.runs import Measured, by_task
from camx.evaluators.tasks import Task

Tick = Callable[[], Any]


@dataclass
class Report:
    """What is gathered for the page; `lacking` says what could not be shown, and why."""

    runs: Path
    data: str | None = None
    seed: int = 0
    device: str = "cpu"
    files: dict[str, str] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)

    def keep(self, name: str, frame: pd.DataFrame) -> str:
        """A CSV among the page's downloads."""
        self.files[name] = frame.to_csv(index=False)
        return name


def write(
    report: Report,
    measuring: Sequence[Task],
    out: Path,
    images: int = 36,
    tick: Tick = lambda: None,
) -> Path:
    """Write ``index.html`` of the runs that `measuring` tasks made, with at most so many `images`.

    Raises `ValueError` where none is below the folder.
    """
    candidates = by_task(measuring, report.runs, report.data)
    held = {m.folder: m.run for group in candidates.values() for m in group}
    if not held:
        makes = "`camx localize` makes one"
        raise ValueError(f"no run below {report.runs} has records; {makes}. Nothing was written")
    sections = tabulated(report, measuring, candidates)
    verdicts, sentences = claimed(report)
    plots = plotted(report, candidates)
    shown, plot = drawn(report, candidates, images, tick)
    pictures = figured(report, held.values(), tick) if images else []
    newest = max(run.newest for run in held.values())[:16].replace("T", " ")
    names = ", ".join(dict.fromkeys(run.dataset["name"] for run in held.values()))
    about = f"{len(held)} runs on {names} below {report.runs}; the newest of {newest} UTC"
    page = Page(
        "camx report", about, sections, sentences, verdicts, [*plot, *plots], shown, pictures,
        [described(run) for run in held.values()], report.files, report.lacking,
    )  # fmt: skip
    path = out / "index.html"
    files.write_text(path, rendered(page))
    return path


def tabulated(
    report: Report, measuring: Sequence[Task], candidates: Mapping[str, Sequence[Measured]]
) -> list[Section]:
    """The paper's tables that any run measures a cell of, then each run's own cells."""
    loaded = [tables.load(name) for name in tables.names()]
    filled = filling.fill(loaded, candidates, filling.entered(report.runs))
    report.keep("cells.csv", filled.round(4))
    readings = {task.name: numbers.Readings(candidates[task.name], task) for task in measuring}
    sections = []
    for table in loaded:
        rows = filling.printed(table, filled)
        if rows["measured"].notna().any() and (not table.data or rows["paper"].notna().any()):
            made = numbers.section(table, filled, readings, report.seed)
            csv = report.keep(tables.file_name(table), filling.layout(table, filled).round(2))
            sections.append(replace(made, csv=csv))
    for task in measuring:
        for measured in candidates[task.name]:
            frame = layers.table(measured, task, layers.further(measured, task))
            if len(frame):
                name, outcomes = layers.name(measured.folder, report.runs), readings[task.name]
                further = numbers.of_run(measured, task, name, frame, outcomes, report.seed)
                csv = report.keep(f"runs/{name}.csv", frame.round(2))
                sections.append(replace(further, csv=csv))
    return sections


def claimed(report: Report) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """How many claims have each verdict, and each claim with its comparisons in words."""
    loaded = claims.load()
    frame = claims.evaluate(loaded, report.runs, report.data, report.seed)
    if not frame["p_value"].notna().any():
        return {}, []
    report.keep("claims.csv", frame)
    told = []
    for claim in loaded:
        rows = frame[frame["claim"] == claim.id]
        told.append({
            "id": claim.id, "sentence": claim.sentence, "where": claim.where,
            "verdict": rows["verdict"].iloc[0],
            "held": int((rows["comparison"] == "reproduced").sum()),
            "comparisons": [_comparison(row) for row in rows.itertuples()],
        })  # fmt: skip
    counts = pd.Series([claim["verdict"] for claim in told]).value_counts()
    return {verdict: int(counts.get(verdict, 0)) for verdict in claims.VERDICTS}, told


def _comparison(row: Any) -> tuple[str, ...]:
    """A comparison's words, a column each; empty where it was not run."""
    if row.p_value is None or row.p_value != row.p_value:
        return (row.metric, row.more, row.less, "", "", "", "", "", row.comparison)
    holm = "" if row.p_holm is None or row.p_holm != row.p_holm else f"{row.p_holm:.2g}"
    interval = f"[{row.ci_low:+.2f}, {row.ci_high:+.2f}]"
    test = f"{row.difference:+.2f}", interval, f"{row.p_value:.2g}", holm, f"{row.n:.0f}"
    return (row.metric, row.more, row.less, *test, row.comparison)


def plotted(report: Report, candidates: Mapping[str, Sequence[Measured]]) -> list[Plot]:
    """What records alone tell: overlap, thresholds, deletion and insertion, and recorded times."""
    made: list[tuple[Plot, pd.DataFrame] | None] = []
    if localized := preferred(candidates.get("localize", ()), "gtknown"):
        made.append(graphs.overlap(localized))
    if defective := preferred(candidates.get("defects", ()), "mIoU"):
        made.append(graphs.thresholds(defective))
        device = f"timed one image at a time on {defective.run.last.get('device', '')}"
        times = graphs.recorded_costs(defective)
        made.append(graphs.cost(defective, "mIoU", times, device))
    for metric in ("deletion", "insertion"):
        if hidden := preferred(candidates.get("occlude", ()), metric):
            made.append(graphs.perturbation(hidden, metric))
    kept = ((plot, report.keep(f"{plot.id}.csv", frame)) for plot, frame in filter(None, made))
    return [replace(plot, csv=csv) for plot, csv in kept]


def preferred(candidates: Sequence[Measured], metric: str) -> Measured | None:
    """The run to be drawn, of those that measured a metric; as `Measured.rank` prefers them."""
    ranks = {
        m.folder: min(m.rank(c, metric) for c in m.cells if (*c.key, metric) in m.numbers.index)
        for m in candidates
        if metric in m.numbers.index.get_level_values("metric")
    }
    holding = [m for m in candidates if m.folder in ranks]
    return min(holding, default=None, key=lambda m: ranks[m.folder])


def figured(report: Report, runs: Iterable[Run], tick: Tick) -> list[Picture]:
    """The paper's figures, of what the page is of: runs on the data sets of these `runs`."""
    given, data = sources.Sources(report.runs, report.device), {run.fingerprint for run in runs}
    given.runs = [run for run in given.runs if run.fingerprint in data]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said when it was measured
        return list(figures.drawn(given, report.seed, report.lacking.append, tick))


def drawn(
    report: Report, candidates: Mapping[str, Sequence[Measured]], images: int, tick: Tick
) -> tuple[Gallery | None, list[Plot]]:
    """The gallery of a run of localization, and what its maps cost here.

    Both need the run's network and images again; where they are gone, that is said.
    """
    localized = preferred(candidates.get("localize", ()), "gtknown")
    if localized is None or not images:
        return None, []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said when it was measured
            source = sources.of_run(localized.run, tasks.load("localize"), report.device)
            cells = gallery.cells(localized)
            plan = grids.plan(source.network, source.protocol, cells, device=report.device)
            plan = replace(plan, batch_size=plan.view.crops)  # of one picture
            shown = gallery.gallery(localized, source.dataset, plan, images, report.seed, tick)
            times = costs.measured(plan, source.dataset.samples[0], cells)
    except figures.GONE as error:
        report.lacking.append(f"The gallery and the cost of maps of {localized.folder}: {error}")
        return None, []
    where = f"measured on {report.device} while this page was written, {plan.view.crops} views"
    made = graphs.cost(localized, "gtknown", times, where)
    if made is None:
        return shown, []
    plot, frame = made
    return shown, [replace(plot, csv=report.keep(f"{plot.id}.csv", frame))]
