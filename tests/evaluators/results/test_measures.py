import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from camx.evaluators import confusion, stats
from camx.evaluators.results import measures
from camx.evaluators.tasks import Metric
from camx.evaluators.types import Cell

CELL = Cell.of("layercam", "S5")
TASK = SimpleNamespace(metrics={name: Metric(name) for name in ("hit", "share", "area")})


def frame(**columns):
    n = len(next(iter(columns.values())))
    return pd.DataFrame(columns, index=[str(i) for i in range(n)])


def test_numbers_are_shares_and_means():
    frames = [
        frame(hit=[True, False, True, True], share=[10.0, 20.0, np.nan, 60.0]),
        frame(area=[np.nan] * 2),
    ]
    numbers = measures.numbers({CELL: frames}, TASK)
    assert numbers.loc[(*CELL.key, "hit")].to_dict() == {
        "value": 75,
        "low": pytest.approx(30.06, abs=0.01),  # Wilson's
        "high": pytest.approx(95.44, abs=0.01),
        "n": 4,
    }
    assert (numbers.loc[(*CELL.key, "share"), "value"], numbers.loc[(*CELL.key, "share"), "n"]) == (
        30,
        3,
    )
    assert (*CELL.key, "area") not in numbers.index
    assert measures.numbers({}, TASK).empty


def test_missing_hits_do_not_count():
    numbers = measures.numbers(
        {CELL: [frame(hit=pd.array([True, False, None], dtype="boolean"))]}, TASK
    )
    assert (numbers.loc[(*CELL.key, "hit"), "value"], numbers.loc[(*CELL.key, "hit"), "n"]) == (
        50,
        2,
    )


def test_a_mean_s_interval_is_scipy_s_bootstrap():
    values = np.random.default_rng(0).exponential(10, 300)
    mean, low, high, n = stats.describe(values)
    found = scipy_stats.bootstrap(
        (values,), np.mean, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert (mean, n) == (values.mean(), 300)
    assert low == pytest.approx(found.low, abs=0.15)
    assert high == pytest.approx(found.high, abs=0.15)
    many = np.random.default_rng(0).exponential(10, 2500)
    _, low, high, _ = stats.describe(many)
    found = scipy_stats.bootstrap(
        (many,), np.mean, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert (low, high) == (pytest.approx(found.low, abs=0.05), pytest.approx(found.high, abs=0.05))


def test_two_cells_hits_by_mcnemar_on_shared_images():
    rng = np.random.default_rng(0)
    a = pd.Series(rng.random(40) < 0.7, index=[str(i) for i in range(40)])
    b = pd.Series(rng.random(30) < 0.4, index=[str(i) for i in range(10, 40)])
    assert measures.contrast([a], [b]) == stats.mcnemar(a.to_numpy()[10:], b.to_numpy())
    assert measures.contrast([a], [b[:0]]) is None


def test_a_lead_against_a_lead():
    """(a + d) - (b + c) is (a - b) - (c - d): sign flips of each image's difference, in percent."""
    rng = np.random.default_rng(0)
    a, b, c, d = (pd.Series(rng.random(50) < p) for p in (0.9, 0.3, 0.6, 0.5))
    found = measures.contrast([a, d], [b, c])
    lead = 100 * ((a.astype(float) - b.astype(float)) - (c.astype(float) - d.astype(float)))
    assert found.difference == pytest.approx(lead.mean())
    flipped = stats.sign_flip(100 * (a.astype(float) + d), 100 * (b.astype(float) + c))
    interval = stats.matched_interval((lead / 100).astype(int).to_numpy())
    assert found == dataclasses.replace(flipped, ci_low=interval[0], ci_high=interval[1])
    even = measures.contrast([a, d], [a, d])
    assert (even.difference, even.p_value) == (0, 1)
    assert even.ci_low == -even.ci_high < -2  # fifty leads that never differ prove little


def test_hits_of_any_dtype_are_hits():
    """A task of a user's own may leave None among True and False."""
    hits = [True, False, None, True]
    for column in (pd.Series(hits, dtype=object), pd.Series(hits, dtype="boolean")):
        column.index = column.index.astype(str)
        numbers = measures.numbers({CELL: [column.to_frame("hit")]}, TASK)
        value, low, high, n = numbers.loc[(*CELL.key, "hit")]
        assert (value, n) == (pytest.approx(200 / 3), 3)
        assert (low, high) == stats.share_interval(200 / 3, 3)
        (series,) = [measures.of_cell({CELL: [column.to_frame("hit")]}, CELL, "hit")]
        assert measures.contrast([series], [series]).p_value == 1


def test_a_mean_over_classes_is_told_by_the_jackknife():
    """Whichever task's metric it is."""
    metric = Metric("mIoU", counts=confusion.mean)
    counts = np.random.default_rng(0).integers(1, 9, (20, 1, 4))
    a, b = (list(np.concatenate([counts, counts + more], 1).astype(float)) for more in (3, 5))
    task = SimpleNamespace(metrics={"mIoU": metric})
    numbers = measures.numbers({CELL: [frame(mIoU=a)]}, task)
    expected = stats.describe_classes(np.stack(a), confusion.mean)
    assert tuple(numbers.loc[(*CELL.key, "mIoU")]) == expected
    left, right = (pd.Series(side) for side in (a, b))
    test = measures.contrast([left], [right], metric=Metric("mIoU", counts=confusion.mean))
    assert test == stats.paired_classes(np.stack(a), np.stack(b), confusion.mean)
    assert test.ci_low > 0


def hits_of(rows):
    """Hits among images in percent, of ``(2,)``."""
    return 100 * float(rows[0] / rows[1])


def test_a_mean_over_classes_of_a_number_of_each():
    """Such as the pointing game's: an image's counts begin with its label."""
    rng, metric = np.random.default_rng(0), Metric("pointing", by_class=hits_of)
    labels = rng.integers(3, size=30)
    a, b = (np.stack([labels, rng.random(30) < share, np.ones(30)], 1) for share in (0.8, 0.4))
    cell, task = {CELL: [frame(pointing=list(a))]}, SimpleNamespace(metrics={"pointing": metric})
    numbers = measures.numbers(cell, task)
    expected = np.mean([100 * a[labels == label, 1].mean() for label in range(3)])
    value, low, high, n = numbers.loc[(*CELL.key, "pointing")]
    assert (value, n) == (pytest.approx(expected), 30)
    assert (value, low, high, n) == stats.describe_by_class(a, hits_of)
    series = measures.of_cell(cell, CELL, "pointing")
    assert measures.value(series, metric) == value
    # Those of another cell hold other images as well; what both hold is compared.
    other = pd.Series(list(b[5:]) + [b[0]] * 4, index=[str(i) for i in range(5, 34)])
    test = measures.contrast([series], [other], metric=metric)
    shared = np.concatenate([b[5:], b[:0]])
    assert test == stats.paired_by_class(a[5:], shared, hits_of)
    assert test.n == 25
    with pytest.raises(ValueError, match="one cell with one other"):
        measures.contrast([series, series], [other, other], metric=metric)


def test_images_that_a_measure_leaves_out_do_not_count():
    """As where all of a class's objects are difficult: there is no row of counts."""
    metric = Metric("pointing", by_class=hits_of)
    rows = [np.array([0, 1, 1]), None, np.array([1, 0, 1]), np.nan, np.array([0, 0, 1])]
    task = SimpleNamespace(metrics={"pointing": metric})
    numbers = measures.numbers({CELL: [frame(pointing=rows)]}, task)
    row = numbers.loc[(*CELL.key, "pointing")]
    assert (row["value"], row["n"]) == (25, 3)
