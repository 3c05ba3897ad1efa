"""Rankings of resampled images, in plain loops and by hand; several runs; agreement of metrics."""

import itertools
from math import comb
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from camx.evaluators import confusion, records, stats, tasks
from camx.evaluators.records import Identity, Invocation
from camx.evaluators.results import agreement, blocks, rankings, resampled
from camx.evaluators.tasks import Metric
from camx.evaluators.tasks.localize import Record
from camx.evaluators.types import Cell

A, B, C = (Cell.of(name, "S5") for name in "abc")
HIT, LOSS = Metric("hit"), Metric("loss", "", "s", better="lower")


def set_iou(counts):
    return 100 * float(counts[0] / counts[1]) if counts[1] else float("nan")


SET = Metric("set", counts=set_iou)


def source(**series):
    """A run of given outcomes: ``metric={cell: values}``, images by their number."""
    metrics = {m.name: m for m in (HIT, LOSS, SET, Metric("other"))}
    held = {
        name: {
            c: pd.Series(list(v), index=[str(i) for i in range(len(v))]) for c, v in cells.items()
        }
        for name, cells in series.items()
    }
    run = SimpleNamespace(
        folder="run", model="net", dataset={"name": "d"}, protocol={"name": "p"}, fingerprint="d",
        identity={"weights_sha256": "w"}, newest="1",
    )  # fmt: skip
    task = SimpleNamespace(command="localize", metrics=metrics)
    return rankings.Recorded(run, task, held)


def plain_ranks(merits):
    return [
        1 + sum(m > own_ for m in merits) + (sum(m == own_ for m in merits) - 1) / 2
        for own_ in merits
    ]


def plainly(outcomes, number, way, weights, rope):
    """Mean ranks, P(best), P(first two), and the first's lead on the second, loop by loop."""
    draws = [[i for i, times in enumerate(row) for _ in range(times)] for row in weights.tolist()]
    values = [[way * number([each[i] for i in images]) for each in outcomes] for images in draws]
    k, ranks, best, two = len(outcomes), [], [], []
    for row in values:
        row = [round(v, 9) for v in row]
        ranks.append(plain_ranks(row))
        best.append([(v == max(row)) / row.count(max(row)) for v in row])
        draws_of_two = [
            order[:2] for order in itertools.permutations(range(k))
            if all(row[a] >= row[b] for a, b in itertools.pairwise(order))
        ]  # fmt: skip
        two.append([np.mean([at in order for order in draws_of_two]) for at in range(k)])
    more = np.mean([round(row[0] - row[1], 9) > rope for row in values])
    alike = np.mean([abs(round(row[0] - row[1], 9)) <= rope for row in values])
    return np.mean(ranks, 0), np.mean(best, 0), np.mean(two, 0), more, alike


@pytest.mark.parametrize("kind", ["hit", "loss", "set"])
def test_standings_are_those_of_plain_loops(kind):
    rng, n, draws = np.random.default_rng(3), 20, 150
    if kind == "hit":
        outcomes = [rng.random(n) < p for p in (0.7, 0.6, 0.5)]
        number, way = (lambda values: 100 * sum(values) / len(values)), 1
    elif kind == "loss":
        outcomes = [rng.random(n) + p for p in (0.0, 0.1, 0.2)]
        number, way = (lambda values: sum(values) / len(values)), -1
    else:
        outcomes = [np.stack([rng.integers(9, size=n) + p, np.full(n, 12)], 1) for p in (2, 1, 0)]
        number, way = (lambda rows: set_iou(np.sum(rows, 0))), 1
    rope = {"hit": 10, "loss": 0.1, "set": 5}[kind]
    cells = dict(zip((A, B, C), outcomes))
    (best, at_s5) = rankings.rankings(source(**{kind: cells}), draws=draws, seed=5)
    assert (best.place, at_s5.place, best.n) == ("best", "S5", n)
    frame = rankings.standings(at_s5, rope).set_index("method")
    weights = resampled.weights(n, draws, 5)
    order = [list("abc").index(m) for m in frame.index]
    mean, first, two, more, alike = plainly(
        [outcomes[at] for at in order], number, way, weights, rope
    )
    values = [number(list(outcomes[at])) for at in order]
    assert frame["value"].tolist() == pytest.approx(values)
    assert [way * v for v in values] == sorted((way * v for v in values), reverse=True)
    assert frame["mean_rank"].tolist() == pytest.approx(mean)
    assert frame["p_best"].tolist() == pytest.approx(first)
    assert frame["p_first_two"].tolist() == pytest.approx(two)
    assert (frame["p_more"].iloc[0], frame["p_alike"].iloc[0]) == pytest.approx((more, alike))
    assert frame["next"].tolist()[:2] == frame.index.tolist()[1:]
    assert frame["next"].isna().iloc[2]
    assert 0 < more < 1
    of_best = rankings.standings(best, rope).set_index("method")  # there is one layer
    pd.testing.assert_frame_equal(frame.drop(columns="place"), of_best.drop(columns="place"))


def test_weights_are_draws_with_replacement(monkeypatch):
    weights = resampled.weights(30, 4000, 1)
    assert (weights.sum(1) == 30).all()
    assert weights.mean(0) == pytest.approx(np.ones(30), abs=0.08)
    assert (weights == 0).mean() == pytest.approx((1 - 1 / 30) ** 30, abs=0.01)
    assert (resampled.weights(30, 4000, 1) == weights).all()
    assert (resampled.weights(30, 4000, 2) != weights).any()
    monkeypatch.setattr(stats, "DRAWN", 100)  # three resamples at once
    assert (resampled.weights(30, 10, 1).sum(1) == 30).all()


@pytest.mark.parametrize(("only_a", "only_b", "both"), [(9, 4, 30), (3, 3, 0), (20, 0, 10)])
def test_the_probability_to_be_best_by_hand(only_a, only_b, both):
    """Of n draws, x fall on images that only a hits and y on those of b: a trinomial."""
    n = 60
    i = np.arange(n)
    a = (i < only_a) | ((i >= 20) & (i < 20 + both))
    b = (i >= n - only_b) | ((i >= 20) & (i < 20 + both))
    p, q = only_a / n, only_b / n
    best = 0.0
    for x in range(n + 1):
        for y in range(n + 1 - x):
            chance = comb(n, x) * comb(n - x, y) * p**x * q**y * (1 - p - q) ** (n - x - y)
            best += chance * (1 if x > y else 0.5 if x == y else 0)
    ranking = next(rankings.rankings(source(hit={A: a, B: b}), draws=20_000))
    frame = rankings.standings(ranking).set_index("method")
    assert frame["p_best"]["a"] == pytest.approx(best, abs=0.012)
    assert frame["p_best"].sum() == pytest.approx(1)
    assert frame["mean_rank"]["a"] == pytest.approx(2 - best, abs=0.012)


def test_a_known_order_is_found():
    """Each method hits what the next one does, and more."""
    i = np.arange(200)
    cells = {Cell.of(m, "S5"): i < k for m, k in zip("dbac", (40, 160, 120, 80))}
    frame = rankings.standings(next(rankings.rankings(source(hit=cells))), 1)
    assert frame["method"].tolist() == list("bacd")
    assert frame["rank"].tolist() == frame["mean_rank"].tolist() == [1, 2, 3, 4]
    assert frame["p_best"].tolist() == [1, 0, 0, 0]
    assert frame["p_more"].tolist()[:3] == [1, 1, 1]


def test_each_method_at_its_best_layer_in_every_resample():
    rng, n, draws = np.random.default_rng(0), 40, 120
    cells = {Cell.of(m, layer): rng.random(n) for m in "ab" for layer in ("S5", "S4", "S3")}
    every = {r.place: r for r in rankings.rankings(source(other=cells), draws=draws)}
    assert list(every) == ["best", "S5", "S4", "S3"]
    weights = resampled.weights(n, draws, 0)
    for at, method in enumerate("ab"):
        drawn = np.array([weights @ v / n for c, v in cells.items() if c.method == method])
        assert every["best"].drawn[:, at] == pytest.approx(drawn.max(0))
        best = max((c for c in cells if c.method == method), key=lambda c: cells[c].mean())
        assert every["best"].cells[at] == best
        assert every["best"].values[at] == pytest.approx(cells[best].mean())
    lower = rankings.rankings(source(loss=cells), draws=draws)
    least = np.min([weights @ v / n for c, v in cells.items() if c.method == "a"], 0)
    assert next(lower).drawn[:, 0] == pytest.approx(least)
    only = rankings.rankings(source(other=cells), ["S4", "best"], draws)
    assert [r.place for r in only] == ["best", "S4"]


def test_images_are_those_that_all_have():
    few = {A: np.array([True, False, True, True]), B: np.array([True, False, False])}
    cells = {**few, Cell.of("a", "S4"): np.ones(9, bool), Cell.of("b", "S4"): np.zeros(9, bool)}
    places = {r.place: r for r in rankings.rankings(source(hit=cells), draws=100)}
    assert {name: r.n for name, r in places.items()} == {"best": 3, "S5": 3, "S4": 9}
    assert places["S5"].values == pytest.approx([200 / 3, 100 / 3])


def test_one_image_tells_no_rank():
    frame = rankings.standings(next(rankings.rankings(source(hit={A: [True], B: [False]}))))
    assert frame["rank"].tolist() == [1, 2]
    assert frame[["mean_rank", "rank_low", "p_best", "p_more"]].isna().all().all()


def test_what_is_ranked_together():
    names = [
        ("a", "S5", ""), ("b", "S5", ""), ("a", "S5+S4", "gamma=2"), ("b", "S5+S4", "gamma=2"),
        ("a", "S5", "area=0.1"), ("b", "S5", "area=0.1"), ("c", "S3", ""),
    ]  # fmt: skip
    together = rankings.places([Cell.of(*name) for name in names])
    assert {place: len(cells) for place, cells in together.items()} == {
        "best": 5, "best area=0.1": 2, "S5": 2, "S5+S4 gamma=2": 2, "S5 area=0.1": 2,
    }  # fmt: skip
    assert rankings.places([Cell.of("a"), Cell.of("b")]).keys() == {"best"}
    assert rankings.places([Cell.of("a", "S5"), Cell.of("a", "S4")]) == {}
    names = set(rankings.places([Cell.of(*name) for name in names], ["S5"]))
    assert names == {"S5", "S5 area=0.1"}


@pytest.mark.parametrize("name", ["classes", "by class"])
def test_a_mean_over_classes_is_resampled_as_its_interval_is(name):
    """Its images' parts have its value as their mean, and the jackknife's error as theirs."""
    rng, n = np.random.default_rng(2), 60
    labels = np.repeat([0, 1, 2], [30, 29, 1])  # of class 2 a single image
    if name == "classes":
        counts = np.zeros((n, 2, 3))
        counts[np.arange(n), 1, labels] = 20
        counts[np.arange(n), 0, labels] = rng.integers(20, size=n)
        metric = Metric("m", counts=confusion.mean)
        value, low, high, _ = stats.describe_classes(counts, confusion.mean)
        error = stats._jackknife(stats._left_out(counts, confusion.mean))[0]
    else:
        counts = np.stack([labels, rng.integers(20, size=n), np.full(n, 20)], 1)
        metric = Metric("m", by_class=set_iou)
        value, low, high, _ = stats.describe_by_class(counts, set_iou)
        error = stats._jackknife(stats._by_class(counts, set_iou)[1])[0]
    series, weights = pd.Series(list(counts)), resampled.weights(n, 8000)
    drawn = resampled.numbers([series], metric, weights)[:, 0]
    assert drawn.mean() == pytest.approx(value, abs=0.1)
    assert drawn.std() == pytest.approx(error, rel=0.03)
    assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx([low, high], abs=1)


def test_parts_of_a_single_class_are_its_images_outcomes():
    hits = np.random.default_rng(0).random(25) < 0.6
    rows = np.stack([np.zeros(25), hits, np.ones(25)], 1)
    assert stats.linear_by_class(rows, set_iou) == pytest.approx(100 * hits)
    overlaps = np.stack([hits, np.ones(25)], 1)[..., None]
    assert stats.linear_classes(overlaps, confusion.mean) == pytest.approx(100 * hits, abs=1e-5)


def test_equal_columns_of_counts_are_summed_once_and_count_each():
    rng = np.random.default_rng(0)
    counts = np.repeat(rng.integers(5, size=(30, 4)), [3, 1, 2, 4], axis=1)
    counts = np.hstack([counts, np.full((30, 1), 7)])
    metric = Metric("m", counts=lambda total: float((total * np.arange(1, 12)).sum()))
    weights = resampled.weights(30, 50)
    expected = [metric.counts(row @ counts.astype(int)) for row in weights.astype(int)]
    assert resampled.numbers([pd.Series(list(counts))], metric, weights)[:, 0].tolist() == expected


def write_run(folder, hits, **changed):
    """A run of camx localize whose cells hit the images given: ``{Cell: (n,) bool}``."""
    told = {"model": "net", "data": "d", "protocol": "single", "start": "2026-01-01", **changed}
    fields = {"name": told["protocol"], "view": "resize", **told.get("fields", {})}
    identity = Identity("localize", told["data"], 0, told["model"], "w", protocol=fields)
    place = {"name": told["data"], "root": f"/{told['data']}"}
    quick = {"versions": {}, "commit": None, "source": ""}
    records.begin(folder, identity, Invocation({}, place, "cpu", start=told["start"], **quick))
    with records.Writer(folder / "records") as writer:
        for i in range(len(next(iter(hits.values())))):
            writer.add(
                [
                    Record(str(i), 1, (1, 2, 3, 4, 5), *c.key, 0, 0, 1, 1, float(hit[i]), False)
                    for c, hit in hits.items()
                ]
            )


def nested(order, layer="S5", n=50):
    """Methods, the first of which hits most images: the next ones hit some of them."""
    counts = range(n - 5, 0, -5)
    return {Cell.of(method, layer): np.arange(n) < k for method, k in zip(order, counts)}


def of_runs(folder, wanted=("gtknown",), **how):
    every = list(rankings.recorded(folder, [tasks.load("localize")], None, wanted))
    ranked = [r for each in every for r in rankings.rankings(each, draws=100, **how)]
    return every, ranked


def test_the_critical_difference_of_runs_by_hand(tmp_path):
    """Four networks on two data sets each; their layers are called otherwise."""
    orders = ["abc", "abc", "acb", "abc", "bac", "abc", "acb", "abc"]
    for number, order in enumerate(orders):
        layer = "S5" if number < 4 else "layer4"
        where = {"model": f"net{number % 4}", "data": f"d{number // 4}"}
        write_run(tmp_path / str(number), nested(order, layer), **where)
    _, ranked = of_runs(tmp_path)
    compared = {c.place: c for c in blocks.comparisons(ranked)}
    assert set(compared) == {"best", "S5", "layer4"}
    best = compared["best"]
    means = {m: sum(order.index(m) + 1 for order in orders) / 8 for m in "abc"}
    assert means == {"a": 9 / 8, "b": 17 / 8, "c": 22 / 8}
    assert dict(zip(best.methods, best.means)) == pytest.approx(means)
    assert best.methods == tuple("abc")
    assert len(best.runs) == 8
    assert best.difference == pytest.approx(2.343 * (3 * 4 / (6 * 8)) ** 0.5, rel=5e-4)
    assert best.bars == ((0, 1), (1, 2))  # 1.17: a and c are 1.63 apart
    statistic = 12 * 8 / 12 * (sum(m**2 for m in means.values()) - 3 * 16 / 4)
    assert best.test.statistic == pytest.approx(statistic)
    assert best.frame["groups"].tolist() == ["a", "ab", "b"]
    assert (len(compared["S5"].runs), len(compared["layer4"].runs)) == (4, 4)
    names = blocks.file_names(list(compared.values()))
    assert set(names) == {"critical_gtknown", "critical_gtknown_S5", "critical_gtknown_layer4"}


def test_a_block_is_a_network_on_a_data_set(tmp_path):
    """Measured twice it is one, that of the most images; another protocol is another comparison."""
    write_run(tmp_path / "a", nested("abc", n=30))
    write_run(tmp_path / "b", nested("cba", n=50))
    write_run(tmp_path / "c", nested("abcd", n=50), model="other")
    write_run(tmp_path / "d", nested("abc"), protocol="paper")
    (best, at_s5) = blocks.comparisons(of_runs(tmp_path)[1])
    assert (best.protocol, best.missing) == ("single", ("d",))
    assert [run.rpartition("/")[2] for run in best.runs] == ["b", "c"]
    assert best.means.tolist() == [2, 2, 2]
    assert at_s5.place == "S5"
    write_run(tmp_path / "e", nested("ab"), model="other", fields={"threshold": 0.3})
    write_run(tmp_path / "f", nested("ba"), fields={"threshold": 0.3})
    compared = blocks.comparisons(of_runs(tmp_path)[1])
    assert [c.protocol for c in compared] == ["single", "single", "single 2", "single 2"]
    assert compared[2].test.name == "Wilcoxon"


def test_one_run_is_compared_with_nothing(tmp_path):
    write_run(tmp_path / "a", nested("abc"))
    assert blocks.comparisons(of_runs(tmp_path)[1]) == []


def test_nulls_have_no_rank(tmp_path):
    hits = {**nested("abc"), Cell.of("centre"): np.ones(50, bool)}
    write_run(tmp_path / "a", hits)
    (each,), ranked = of_runs(tmp_path, ())
    assert {c.method for r in ranked for c in r.cells} == set("abc")
    assert list(each.series) == [
        "loc1",
        "loc5",
        "gtknown",
        "mean IoU",
    ]  # degenerate has no interval


def test_data_are_chosen(tmp_path):
    task = tasks.load("localize")
    write_run(tmp_path / "a", nested("abc"))
    write_run(tmp_path / "b", nested("abc"), data="e")
    for name in ("e", "/e"):
        (each,) = rankings.recorded(tmp_path, [task], name)
        assert each.run.folder.name == "b"
    assert not list(rankings.recorded(tmp_path, [task], "f"))


def test_metrics_that_have_no_rank_are_named():
    every = [tasks.load("localize"), tasks.load("occlude")]
    rankings.check(["loc1", "confidence"], every)
    with pytest.raises(ValueError, match=r"unknown metric 'loc2'; known: loc1, loc5.*Did you mean"):
        rankings.check(["loc2"], every)
    with pytest.raises(ValueError, match=r"metric 'occluded' has no better side; ranked: loc1"):
        rankings.check(["occluded"], every)
    with pytest.raises(ValueError, match=r"metric 'degenerate' has no interval; ranked: loc1"):
        rankings.check(["degenerate"], every)


def by_pairs(a, b):
    """Kendall's tau-b, pair by pair."""
    more = less = only_a = only_b = 0
    for i, j in itertools.combinations(range(len(a)), 2):
        x, y = np.sign(a[i] - a[j]), np.sign(b[i] - b[j])
        more, less = more + (x * y > 0), less + (x * y < 0)
        only_a, only_b = only_a + (x != 0 and y == 0), only_b + (x == 0 and y != 0)
    product = (more + less + only_a) * (more + less + only_b)
    return (more - less) / product**0.5 if product else float("nan")


@pytest.mark.parametrize("seed", range(20))
def test_tau_counts_pairs(seed):
    a, b = np.random.default_rng(seed).integers(4, size=(2, 7)).astype(float)
    assert agreement.tau(a, b) == pytest.approx(by_pairs(a, b))


def test_tau_of_nothing_is_no_number():
    assert np.isnan(agreement.tau([1.0], [2.0]))
    assert np.isnan(agreement.tau([1.0, 1.0], [2.0, 3.0]))
    assert agreement.tau([1.0, 2.0, np.nan], [3.0, 4.0, 5.0]) == 1


def test_metrics_that_point_the_same_way_agree():
    """Lower losses and more hits are one order; what is one metric's alone is left out."""
    places = itertools.product("abc", ("S5", "S4"))
    counts = zip(places, (15, 4, 9, 12, 3, 1))
    hits = {Cell.of(*place): np.arange(20) < k for place, k in counts}
    losses = {cell: 1.0 - hit for cell, hit in hits.items()}
    other = {cell: -1.0 * hit for cell, hit in list(hits.items())[:4]}
    run = source(hit=hits, loss=losses, other=other)
    methods, cells = agreement.agreements(run, rankings.rankings(run, draws=100))
    assert (methods.over, cells.over) == ("methods", "cells")
    assert cells.metrics == ("hit", "loss", "other")
    taus = [cells.taus[0, 1], methods.taus[0, 1], cells.taus[0, 2], cells.taus[2, 1]]
    assert taus == pytest.approx([1, 1, -1, -1])
    assert cells.counts[0].tolist() == [6, 6, 4]
    assert methods.counts[0].tolist() == [3, 3, 2]


def test_the_mean_over_runs_is_of_those_that_have_both():
    def one(run, metrics, tau):
        taus = np.array([[1, tau], [tau, 1]])
        return agreement.Agreement("localize", run, "cells", metrics, taus, np.full((2, 2), 5))

    runs = [one("1", ("a", "b"), 0.5), one("2", ("b", "a"), 0.1), one("3", ("a", "c"), np.nan)]
    every = agreement.with_means(runs)
    assert [each.run for each in every] == ["1", "2", "3", "mean"]
    assert every[-1].metrics == ("a", "b", "c")
    assert every[-1].taus[0].tolist() == pytest.approx([1, 0.3, np.nan], nan_ok=True)
    assert every[-1].counts[0].tolist() == [3, 2, 0]
    frame = agreement.frame(every)
    assert frame.columns.tolist() == ["command", "run", "over", "metric", "a", "b", "c"]
    assert frame["b"].iloc[2] == 1
    assert frame["a"].iloc[2] == 0.1
    assert len(frame) == 9
    assert agreement.with_means(runs[:1]) == runs[:1]
    assert list(agreement.frame([])) == agreement.FIRST
