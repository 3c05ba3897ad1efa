"""How the weights of Grad-CAM and Grad-CAM++ vary within feature maps, stage by stage: Figure 4."""

import csv
import io
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from camx.camcore import passes, variances, views
from camx.camcore.taps import Tap, tap
from camx.evaluators.drawings.sources import UNKNOWN, Source
from camx.evaluators.loop import decode, stacked
from camx.evaluators.pictures.charts import QUANTILES, Chart, Spread
from camx.evaluators.pictures.panel import Panel
from camx.evaluators.results.figures import Figure
from camx.evaluators.types import Sample

TITLES = {"gradcam": "(a) Grad-CAM: the gradient g", "gradcampp": "(b) Grad-CAM++: alpha ReLU(g)"}
READING = (
    "upper charts: variance over the places of a feature map, of those whose variance is not 0; "
    "how many are exactly 0 stands below each stage",
    "lower charts: the variance as a share of the mean square, which the scale of a stage does not "
    "move: at 0 one weight stands for every place, at 1 the weights cancel out",
    "boxes: quartiles of the feature maps; lines: 5 % to 95 %",
)
Key = tuple[str, str]  # a method and a stage


def chart(figure: Figure, source: Source, samples: Sequence[Sample], seed: int) -> Chart:
    """The variances of every feature map of some images, at each of the network's layers."""
    stages = list(source.network.layers)[::-1]
    parts: dict[Key, list[tuple[np.ndarray, np.ndarray]]] = {}
    taps: dict[str, Tap] = {}
    for sample in samples:
        taps = _taps(source, sample)
        for stage in stages:
            for method, weights in variances.WEIGHTS.items():
                variance, square = variances.spread(weights(taps[stage]))
                arrays = variance.cpu().numpy().ravel(), square.cpu().numpy().ravel()
                parts.setdefault((method, stage), []).append(arrays)
    spreads = {
        title: {stage: _spread(parts[method, stage]) for stage in stages}
        for method, title in TITLES.items()
    }
    shown = source.label(samples[-1]).replace("\n", ", ")
    network, _, data = source.about
    how = source.protocol
    asked = f"one squashed view of each, gradient {how.gradient}, target {how.target}"
    about = (network, f"{data}; {len(samples)} images, {asked}", *READING)
    maps = f"(c) Feature maps drawn at random, of {shown}: black is 0, white each map's maximum"
    title = f"{figure.label}. {figure.title}"
    drawn = _feature_maps(taps, stages, figure.maps, seed)
    return Chart(title, about, tuple(stages), spreads, maps, drawn)


def _spread(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> Spread:
    """The spread of the variances and mean squares of several images."""
    variance, square = (np.concatenate(arrays) for arrays in zip(*parts))
    return Spread.of(variance, square)


def _taps(source: Source, sample: Sample) -> dict[str, Tap]:
    """What one view of an image shows at every layer, of its class or the network's choice."""
    network, protocol = source.network, source.protocol
    view = views.view("resize", network.input_size)
    squashed = stacked([decode(sample, (view.grid,))]).to(source.device)
    inputs = network.prepare(views.cut(squashed, view))
    target = torch.tensor([sample.label], device=inputs.device)
    if sample.label == UNKNOWN:
        with torch.no_grad(), passes.frozen(network.module):
            target = passes.answer(network.module, inputs).argmax(1)
    layers = list(network.layers.values())
    return tap(network.module, inputs, target, layers, protocol.gradient, protocol.target)


def _feature_maps(
    taps: Mapping[str, Tap], stages: Sequence[str], count: int, seed: int
) -> dict[tuple[int, int], Panel]:
    """So many feature maps of each stage drawn at random, in grey, by row and column."""
    random = np.random.default_rng(seed)
    panels = {}
    for column, stage in enumerate(stages):
        acts = taps[stage].acts[0].clamp(min=0).cpu().numpy()
        channels = random.choice(len(acts), min(count, len(acts)), replace=False)
        for row, channel in enumerate(channels):
            peak = acts[channel].max()
            grey = np.uint8(255 * acts[channel] / peak if peak else 0 * acts[channel])
            panels[row, column] = Panel(np.stack([grey] * 3, 2), note="" if peak else "all 0")
    return panels


def numbers(chart: Chart) -> str:
    """The chart's numbers as CSV: a line each method, measure and stage."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["weights", "measure", "stage", "n", "zero", *(f"q{q:g}" for q in QUANTILES)])
    for title, spreads in chart.spreads.items():
        for stage, spread in spreads.items():
            counts = spread.count, f"{spread.zero:.6g}"
            for measure, values in (("variance", spread.variance), ("share", spread.share)):
                quantiles = (f"{value:.6g}" for value in values)
                rows.writerow([title.partition(": ")[2], measure, stage, *counts, *quantiles])
    return text.getvalue()
