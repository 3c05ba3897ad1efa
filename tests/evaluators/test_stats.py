import numpy as np
import pytest

from camx.evaluators import stats


@pytest.mark.parametrize(("hits", "n"), [(30, 100), (1, 50), (700, 1000)])
def test_share_interval_is_the_bootstrap_s(hits, n):
    """Against resampling the images a great many times."""
    rng = np.random.default_rng(0)
    sample = np.arange(n) < hits
    means = np.array([rng.choice(sample, n).mean() for _ in range(4000)]) * 100
    low, high = stats.share_interval(100 * hits / n, n)
    assert low == pytest.approx(np.quantile(means, 0.025), abs=100 / n + 0.3)
    assert high == pytest.approx(np.quantile(means, 0.975), abs=100 / n + 0.3)


def test_certain_shares():
    assert stats.share_interval(0, 10) == (0, 0)
    assert stats.share_interval(100, 10) == (100, 100)


def test_mcnemar_is_statsmodels_exact_test():
    """Against the binomial written out: twice the smaller tail, of images only one method hits."""
    from math import comb

    rng = np.random.default_rng(1)
    a, b = rng.random(200) < 0.6, rng.random(200) < 0.5
    test = stats.mcnemar(a, b)
    more, less = int((a & ~b).sum()), int((~a & b).sum())
    tail = sum(comb(more + less, k) for k in range(min(more, less) + 1)) / 2 ** (more + less)
    assert test.p_value == pytest.approx(min(1, 2 * tail))
    assert test.difference == pytest.approx(100 * (a.mean() - b.mean()))
    images = [rng.integers(200, size=200) for _ in range(4000)]
    draws = [100 * (a[i].mean() - b[i].mean()) for i in images]
    assert test.ci_low == pytest.approx(np.quantile(draws, 0.025), abs=1)
    assert test.ci_high == pytest.approx(np.quantile(draws, 0.975), abs=1)


def test_equal_methods_differ_by_nothing():
    hits = np.array([True, False, True])
    assert stats.mcnemar(hits, hits) == stats.Paired(0.0, 0.0, 0.0, 1.0, 3)
    assert stats.sign_flip(hits, hits, draws=100).p_value == 1


def test_sign_flip_counts_all_arrangements():
    """Five differences: the exact p-value over all 32 sign patterns."""
    from itertools import product

    a, b = np.array([3.0, 1.0, 4.0, 1.5, 9.0]), np.array([1.0, 2.0, 1.0, 1.0, 2.0])
    d = a - b
    exact = np.mean([abs(np.dot(d, s)) >= abs(d.sum()) - 1e-9 for s in product((-1, 1), repeat=5)])
    test = stats.sign_flip(a, b)
    assert test.p_value == pytest.approx(exact, abs=0.03)
    assert test == stats.sign_flip(a, b)
    assert test.difference == pytest.approx(d.mean())


def test_a_sign_flip_test_is_never_certain():
    """None of 200 drawn is as large as that of 60 equal differences, which itself is counted."""
    ones = np.ones(60)
    for a, b in ((ones, 0 * ones), (0 * ones, ones)):
        assert stats.sign_flip(a, b, draws=200).p_value == 1 / 201


def set_iou(counts):
    return float(counts[0] / counts[1])


def test_paired_bootstrap_of_a_set_iou():
    """A set IoU is no mean over images: intersections and unions are summed first."""
    rng = np.random.default_rng(2)
    union = rng.integers(50, 100, 60)
    a, b = (np.stack([(union * share).astype(int), union], 1) for share in (0.6, 0.5))
    test = stats.paired_bootstrap(a, b, set_iou, draws=500)
    difference = a[:, 0].sum() / union.sum() - b[:, 0].sum() / union.sum()
    assert test.difference == pytest.approx(difference)
    assert test.ci_low > 0
    assert test.p_value == 2 / 501  # no resample beyond zero but the observed one: never certain
    turned = stats.paired_bootstrap(b, a, set_iou, draws=500)
    assert (turned.difference, turned.p_value) == (-test.difference, 2 / 501)
    assert stats.paired_bootstrap(a, a, set_iou, draws=500).p_value == 1


def test_paired_bootstrap_counts_the_smaller_tail():
    """Against resampling written out, either way round."""
    hits = np.random.default_rng(3).random((2, 40)) < [[0.55], [0.45]]
    a, b = (np.stack([h, np.ones(40)], 1) for h in hits)
    rng, draws = np.random.default_rng(0), []
    for _ in range(300):
        weights = rng.multinomial(40, np.full(40, 1 / 40))
        draws.append(set_iou(weights @ a) - set_iou(weights @ b))
    tails = [sum(d <= 0 for d in draws), sum(d >= 0 for d in draws)]
    assert 10 < min(tails) < max(tails)
    for pair in ((a, b), (b, a)):
        p = stats.paired_bootstrap(*pair, set_iou, draws=300).p_value
        assert p == pytest.approx(2 * (min(tails) + 1) / 301)


def test_holm():
    assert stats.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert stats.holm([0.9, 0.8]) == [1.0, 1.0]
    assert stats.holm([]) == []


def test_matched_interval_by_hand():
    """Agresti and Min 2005: 0.5 more in each of four counts; of 8 images 3 only a's, 1 only b's."""
    a = np.array([1, 1, 1, 0, 1, 1, 0, 0], bool)
    b = np.array([0, 0, 0, 1, 1, 1, 0, 0], bool)
    n, x, y = 10, 3.5, 1.5
    reach = 1.959964 * ((x + y) - (x - y) ** 2 / n) ** 0.5 / n
    expected = [100 * ((x - y) / n - reach), 100 * ((x - y) / n + reach)]
    assert stats.matched_interval(a, b) == pytest.approx(expected)


def test_counts_are_resampled_by_image():
    counts = np.array([[1, 2], [3, 4], [0, 5]] * 20)
    value, low, high, n = stats.describe_counts(counts, set_iou)
    assert (value, n) == (4 / 11, 60)
    assert low < value < high
    rng = np.random.default_rng(1)
    draws = [counts[rng.integers(60, size=60)].sum(0) for _ in range(2000)]
    expected = np.quantile([set_iou(draw) for draw in draws], [0.025, 0.975])
    assert [low, high] == pytest.approx(expected.tolist(), abs=0.02)
