"""The order of methods over several data sets and networks: a run is a block of Friedman's."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from camx.evaluators import critical, ordering
from camx.evaluators.critical import Test
from camx.evaluators.earlier import completed
from camx.evaluators.pictures.ladder import Ladder
from camx.evaluators.results.rankings import BEST, Ranking

COLUMNS = [
    "command", "protocol", "metric", "place", "method", "mean_rank", "groups", "methods", "blocks",
    "critical_difference", "alpha", "test", "statistic", "p_value", "iman_davenport", "p_iman",
    "runs",
]  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """Methods over N runs of one protocol by one metric at one place, the best first.

    methods     the k that every run has ranked there; `missing` are those that some lack
    means       their mean ranks over the runs, ``(k,)``; each run's are in `ranks`, ``(N, k)``
    difference  Nemenyi's critical difference, at `alpha`
    bars        places of methods that are not told apart (`critical.groups`)
    """

    command: str
    protocol: str
    metric: str
    place: str
    methods: tuple[str, ...]
    missing: tuple[str, ...]
    runs: tuple[str, ...]
    ranks: np.ndarray
    test: Test
    difference: float
    alpha: float
    bars: tuple[tuple[int, ...], ...]

    @property
    def means(self) -> np.ndarray:
        return self.ranks.mean(0)

    @property
    def frame(self) -> pd.DataFrame:
        """A line a method, with `COLUMNS`."""
        names = critical.letters(len(self.methods), self.bars)
        about = {
            "command": self.command, "protocol": self.protocol, "metric": self.metric,
            "place": self.place, "methods": len(self.methods), "blocks": len(self.runs),
            "critical_difference": self.difference, "alpha": self.alpha, "test": self.test.name,
            "statistic": self.test.statistic, "p_value": self.test.p_value,
            "iman_davenport": self.test.f, "p_iman": self.test.p_f, "runs": ";".join(self.runs),
        }  # fmt: skip
        lines = [
            about | {"method": method, "mean_rank": mean, "groups": letters}
            for method, mean, letters in zip(self.methods, self.means, names)
        ]
        return pd.DataFrame(lines, columns=COLUMNS)


def comparisons(rankings: Iterable[Ranking], alpha: float = critical.ALPHA) -> list[Comparison]:
    """What two runs or more have ranked alike: by command, protocol, metric and place.

    Runs of one network's weights on the same data are one block, that of the most images, then the
    newest. Ranks are those of the values on all images.
    """
    grouped: dict[tuple[str, ...], list[Ranking]] = {}
    for ranking in rankings:
        source = ranking.source
        key = source.task.command, _protocol(ranking), ranking.metric.name, ranking.place
        grouped.setdefault(key, []).append(ranking)
    names = _names(grouped)
    compared = []
    for (command, protocol, metric, place), group in grouped.items():
        blocks = _blocks(group)
        shared = [m for m in blocks[0].methods if all(m in b.methods for b in blocks)]
        if len(blocks) > 1 and len(shared) > 1:
            about = command, names[command, protocol], metric, place
            compared.append(_compared(about, blocks, shared, alpha))
    return compared


def _protocol(ranking: Ranking) -> str:
    return json.dumps(completed(ranking.source.run.protocol), sort_keys=True)


def _names(grouped: Iterable[tuple[str, ...]]) -> dict[tuple[str, str], str]:
    """Protocols by command and content, those of one name numbered: ``single``, ``single 2``."""
    names: dict[tuple[str, str], str] = {}
    for command, content, *_ in grouped:
        name = json.loads(content)["name"]
        alike = {c for (other, c) in names if other == command and json.loads(c)["name"] == name}
        number = f" {len(alike) + 1}" if alike else ""
        names.setdefault((command, content), f"{name}{number}")
    return names


def _blocks(group: Sequence[Ranking]) -> list[Ranking]:
    """One ranking for each network's weights and data set."""
    blocks: dict[tuple[object, ...], Ranking] = {}
    for ranking in sorted(group, key=lambda r: (r.n, r.source.run.newest)):
        run = ranking.source.run
        blocks[run.model, run.identity.get("weights_sha256"), run.fingerprint] = ranking
    return sorted(blocks.values(), key=lambda r: str(r.source.run.folder))


def _compared(
    about: tuple[str, str, str, str], blocks: Sequence[Ranking], shared: Sequence[str], alpha: float
) -> Comparison:
    merits = np.array([[b.merits[b.methods.index(m)] for m in shared] for b in blocks])
    ranks = ordering.ranks(merits)
    order = np.argsort(ranks.mean(0), kind="stable")
    ranks, methods = ranks[:, order], tuple(shared[at] for at in order)
    if len(shared) > 2:
        test = critical.friedman(ranks)
    else:
        test = critical.wilcoxon(np.round(merits[:, 0] - merits[:, 1], ordering.DIGITS))
    difference = critical.difference(len(shared), len(blocks), alpha)
    bars = tuple(critical.groups(ranks.mean(0).tolist(), difference))
    missing = tuple(sorted({m for b in blocks for m in b.methods} - set(shared)))
    runs = tuple(str(b.source.run.folder) for b in blocks)
    return Comparison(*about, methods, missing, runs, ranks, test, difference, alpha, bars)


def ladder_of(compared: Comparison) -> Ladder:
    """The diagram of a comparison."""
    best = compared.place.replace(BEST, "each method at its best layer", 1)
    place = best if compared.place.startswith(BEST) else f"at {compared.place}"
    k, count = len(compared.methods), len(compared.runs)
    test = f"{compared.test.name}'s test: p = {compared.test.p_value:.2g}"
    about = (
        f"{compared.command}, protocol {compared.protocol}; {place}",
        f"{test}; a bar joins methods that Nemenyi's test does not tell apart "
        f"(alpha {compared.alpha:g})",
    )
    title = f"{compared.metric}: mean rank of {k} methods over {count} runs"
    return Ladder(
        title, about, compared.methods, tuple(compared.means.tolist()), compared.difference,
        compared.bars,
    )  # fmt: skip


def file_names(compared: Sequence[Comparison]) -> dict[str, Comparison]:
    """Comparisons by what their diagrams' files are called: ``critical_loc1``.

    A place other than ``best`` follows, and command and protocol where there are several.
    """
    several = len({(c.command, c.protocol) for c in compared}) > 1
    names = {}
    for each in compared:
        place = [] if each.place == BEST else [each.place]
        words = [each.metric, *place, *([each.command, each.protocol] if several else [])]
        parts = [re.sub(r"[^\w.+=-]+", "-", word) for word in words]
        names["_".join(["critical", *parts])] = each
    return names
