import numpy as np
import pytest
from scipy import stats as scipy_stats

from camx.evaluators import confusion, stats


def wilson(hits, n):
    """Wilson 1927, written out."""
    p, z = hits / n, 1.959964
    middle, reach = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return [100 * (middle - reach) / (1 + z * z / n), 100 * (middle + reach) / (1 + z * z / n)]


@pytest.mark.parametrize(
    ("hits", "n"), [(0, 30), (30, 30), (0, 1), (1, 1), (1, 50), (34369, 50_000)]
)
def test_a_share_s_interval_is_wilson_s(hits, n):
    low, high = stats.share_interval(100 * hits / n, n)
    assert [low, high] == pytest.approx(wilson(hits, n), abs=1e-4)
    assert 0 <= low < high <= 100
    assert stats.describe(np.arange(n) < hits) == (100 * hits / n, low, high, n)


def test_none_of_thirty_is_not_certainly_none():
    """The issue's example: the bootstrap said [0, 0]."""
    assert stats.share_interval(0, 30) == (0, pytest.approx(11.35, abs=0.01))
    assert stats.share_interval(100, 30) == (pytest.approx(88.65, abs=0.01), 100)


@pytest.mark.parametrize("n", [30, 40, 100, 400])
@pytest.mark.parametrize("share", [0.05, 0.1, 0.3, 0.5, 0.95])
def test_a_share_s_interval_covers_as_often_as_it_says(n, share):
    bounds = np.array([stats.share_interval(100 * hits / n, n) for hits in range(n + 1)])
    low, high = bounds[np.random.default_rng(0).binomial(n, share, 20_000)].T
    assert 0.925 <= ((low <= 100 * share) & (100 * share <= high)).mean() <= 0.98


def of_classes(images, rng):
    """Intersections and unions ``(images,2,21)``: a background, and classes on 8 % or 1 % of the
    images, the rare ones segmented worse.
    """
    on = np.concatenate([[1], np.full(14, 0.08), np.full(6, 0.01)])
    true = (rng.random((images, 21)) < on) * rng.lognormal(7, 0.6, (images, 21))
    share = np.linspace(0.9, 0.3, 21)
    hit = true * rng.beta(4 * share, 4 * (1 - share), (images, 21))
    return np.stack([hit, true * (1 + 0.3 * rng.random((images, 21)))], 1)


def test_a_mean_over_rare_classes_covers_as_often_as_it_says():
    """Of 400 images with a few of each rare class: 95 % of 2,100; the bootstrap's cover 92.5 %."""
    rng = np.random.default_rng(2)
    images = of_classes(60_000, rng)
    truth, covered = confusion.mean(images.sum(0)), []
    for _ in range(400):
        sample = images[rng.integers(len(images), size=400)]
        _, low, high, _ = stats.describe_classes(sample, confusion.mean)
        covered.append(low <= truth <= high)
    assert 0.93 <= np.mean(covered) <= 0.98


def test_two_means_over_classes_differ_as_often_as_they_do():
    """Two halves of the same error: one test in twenty is significant."""
    rng = np.random.default_rng(1)
    images, tests = of_classes(60_000, rng), []
    for _ in range(150):
        a = images[rng.integers(len(images), size=400)]
        noise = rng.normal(0, 0.1, (2, 400, 21))
        left, right = (np.stack([a[:, 0] * np.clip(1 + e, 0, 1), a[:, 1]], 1) for e in noise)
        tests.append(stats.paired_classes(left, right, confusion.mean))
    assert 0.02 <= np.mean([test.p_value < 0.05 for test in tests]) <= 0.09
    assert all((t.p_value < 0.05) == (t.ci_low * t.ci_high > 0) for t in tests)


def test_no_class_of_the_sample_is_lost():
    """One image alone shows the second class: without it, the class keeps its 50 %."""
    counts = np.array([[[6, 0], [10, 0]], [[8, 0], [10, 0]], [[9, 5], [10, 10]]], float)
    value, low, high, n = stats.describe_classes(counts, confusion.mean)
    assert (value, n) == (pytest.approx(100 * (23 / 30 + 0.5) / 2), 3)
    left_out = [(17 / 20 + 0.5) / 2, (15 / 20 + 0.5) / 2, (14 / 20 + 0.5) / 2]
    assert stats._left_out(counts, confusion.mean) == pytest.approx(100 * np.array(left_out))
    assert 0 <= low < value < high <= 100


def test_a_jackknife_by_hand():
    """Of a mean, its error is the standard error, and its degrees those of the fourth moment."""
    values = np.array([1.0, 2.0, 4.0, 9.0])
    left_out = (values.sum() - values) / 3
    error, degrees, reach = stats._jackknife(left_out)
    apart = values - 4
    assert error == pytest.approx(values.std(ddof=1) / 2)
    assert degrees == pytest.approx(min(3, 8 / (4 * (apart**4).sum() / 38**2 - 1)))
    assert reach == pytest.approx(scipy_stats.t.ppf(0.975, degrees) * error)


def test_one_image_tells_no_interval_of_a_mean():
    counts = np.array([[[6, 0], [10, 0]]], float)
    described = [
        stats.describe(np.array([40.0])),
        stats.describe_counts(counts[:, :, 0], set_iou),
        stats.describe_classes(counts, confusion.mean),
    ]
    for value, low, high, n in described:
        assert value in (40, 0.6, 60)
        assert (np.isnan(low), np.isnan(high), n) == (True, True, 1)
    tests = [
        stats.sign_flip(np.array([4.0]), np.array([3.0]), draws=50),
        stats.paired_bootstrap(counts[:, :, 0], counts[:, :, 0], set_iou, draws=50),
        stats.paired_classes(counts, counts / 2, confusion.mean),
    ]
    assert all(np.isnan([test.ci_low, test.ci_high]).all() for test in tests)
    assert tests[2].p_value == 1


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
    assert (test.ci_low, test.ci_high) == stats.matched_interval(a.astype(int) - b)
    images = [rng.integers(200, size=200) for _ in range(4000)]
    draws = [100 * (a[i].mean() - b[i].mean()) for i in images]
    assert test.ci_low == pytest.approx(np.quantile(draws, 0.025), abs=1)
    assert test.ci_high == pytest.approx(np.quantile(draws, 0.975), abs=1)


def test_equal_methods_differ_by_nothing():
    hits = np.array([True, False, True])
    test = stats.mcnemar(hits, hits)
    assert (test.difference, test.p_value, test.n) == (0, 1, 3)
    assert test.ci_low == -test.ci_high < -30  # three images that agree prove little
    assert stats.sign_flip(hits, hits, draws=100).p_value == 1


@pytest.mark.parametrize("n", [30, 100, 400])
@pytest.mark.parametrize("shares", [(0.05, 0.05), (0.15, 0.05), (0.02, 0.02)])
def test_a_difference_of_hits_covers_as_often_as_it_says(n, shares):
    """Of images that only the one hits, or only the other."""
    rng, covered = np.random.default_rng(0), []
    draws = rng.multinomial(n, [*shares, 1 - sum(shares)], 1500)
    for only_a, only_b, _ in draws:
        differences = np.concatenate([np.ones(only_a), -np.ones(only_b), np.zeros(n)])[:n]
        low, high = stats.matched_interval(differences.astype(int))
        assert low < high
        covered.append(low <= 100 * (shares[0] - shares[1]) <= high)
    assert np.mean(covered) >= 0.93


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
    assert stats.matched_interval(a.astype(int) - b) == pytest.approx(expected)


def test_counts_are_resampled_by_image():
    counts = np.array([[1, 2], [3, 4], [0, 5]] * 20)
    value, low, high, n = stats.describe_counts(counts, set_iou)
    assert (value, n) == (4 / 11, 60)
    assert low < value < high
    rng = np.random.default_rng(1)
    draws = [counts[rng.integers(60, size=60)].sum(0) for _ in range(2000)]
    expected = np.quantile([set_iou(draw) for draw in draws], [0.025, 0.975])
    assert [low, high] == pytest.approx(expected.tolist(), abs=0.02)


@pytest.mark.parametrize("n", [1, 7, 5000])
def test_weighed_sums_are_those_of_whole_numbers(n):
    """Floats are multiplied fast, a few thousand rows at a time; nothing is rounded."""
    rng = np.random.default_rng(n)
    weights = rng.integers(5, size=(6, n))
    for counts in (
        rng.integers(2**31, size=(n, 3)), rng.integers(2, size=(n, 2, 3)).astype(bool),
        rng.integers(256, size=(n, 4)).astype(np.uint8), rng.integers(9, size=n),
    ):  # fmt: skip
        expected = np.tensordot(weights, counts.astype(np.int64), axes=1)
        assert (stats.weighed(weights, counts) == expected).all()
        assert stats.weighed(weights, counts).shape == (6, *counts.shape[1:])


def share(counts):
    """Hits among images, in percent; what no image tells is no number."""
    return 100 * float(counts[0] / counts[1]) if counts[1] else float("nan")


def by_class(rows):
    """The mean over classes, and that without each image in turn, in plain loops.

    Without a class's only image the class keeps its number.
    """

    def mean(kept):
        numbers = []
        for label in sorted({row[0] for row in rows}):
            of_class = [row for row in kept if row[0] == label]
            of_class = of_class or [row for row in rows if row[0] == label]
            number = share([sum(row[i] for row in of_class) for i in (1, 2)])
            if number == number:
                numbers.append(number)
        return sum(numbers) / len(numbers)

    rows = rows.tolist()
    return mean(rows), [mean(rows[:i] + rows[i + 1 :]) for i in range(len(rows))]


def labelled(rng, n, classes=5):
    """Rows of a label, hits and images; the rare classes hit less."""
    labels = (classes * rng.random(n) ** 2).astype(int)
    total = rng.integers(1, 4, size=n)
    return np.stack([labels, rng.binomial(total, 0.9 - 0.12 * labels), total], 1)


@pytest.mark.parametrize("n", [4, 20, 80])
def test_a_mean_over_classes_in_plain_loops(n):
    rng = np.random.default_rng(n)
    for _ in range(5):
        rows = labelled(rng, n)
        value, without = by_class(rows)
        described, low, high, count = stats.describe_by_class(rows, share)
        assert (described, count) == (pytest.approx(value), n)
        assert stats._by_class(rows, share)[1].tolist() == pytest.approx(without)
        reach = stats._jackknife(np.array(without))[2]
        expected = np.clip([value - reach, value + reach], 0, 100)
        assert [low, high] == pytest.approx(expected.tolist(), nan_ok=True)


def test_a_class_of_one_image_keeps_its_number():
    """The lone image of class 7 counts as a class, but tells nothing of how images differ."""
    rows = np.array([[0, 1, 1], [0, 0, 1], [0, 1, 1], [7, 1, 1]])
    value, low, high, n = stats.describe_by_class(rows, share)
    assert (value, n) == (pytest.approx((100 * 2 / 3 + 100) / 2), 4)
    assert stats._by_class(rows, share)[1].tolist() == pytest.approx([75, 100, 75, value])
    assert 0 <= low < value < high <= 100


@pytest.mark.parametrize("rows", [[[3, 1, 2]], [[0, 1, 1], [1, 0, 1]], [[0, 1, 1], [0, 1, 1]]])
def test_where_no_image_moves_the_number_there_is_no_interval(rows):
    rows = np.array(rows)
    value, low, high, n = stats.describe_by_class(rows, share)
    assert (value, n) == (by_class(rows)[0], len(rows))
    assert np.isnan([low, high]).all()
    test = stats.paired_by_class(rows, rows, share)
    assert (test.difference, test.p_value, test.n) == (0, 1, len(rows))


def test_a_class_without_a_number_does_not_count():
    rows = np.array([[0, 1, 2], [0, 2, 2], [1, 0, 0], [1, 0, 0], [2, 0, 0]])
    value, low, high, n = stats.describe_by_class(rows, share)
    assert (value, n) == (75, 5)
    assert low < 75 < high
    assert np.isnan(stats.describe_by_class(rows[2:], share)[0])


def test_a_mean_over_classes_covers_as_often_as_it_says():
    """Of a hundred images of five classes, of which the rarest has a dozen or so."""
    rng = np.random.default_rng(0)
    truth, covered = np.mean([100 * (0.9 - 0.12 * label) for label in range(5)]), []
    for _ in range(400):
        _, low, high, _ = stats.describe_by_class(labelled(rng, 100), share)
        covered.append(low <= truth <= high)
    assert 0.92 <= np.mean(covered) <= 0.985


def test_a_difference_of_means_over_classes():
    """In plain loops; of two halves of one error one test in twenty is significant."""
    rng, tests = np.random.default_rng(1), []
    for _ in range(200):
        a = labelled(rng, 60)
        b = np.column_stack([a[:, 0], rng.binomial(a[:, 2], 0.9 - 0.12 * a[:, 0]), a[:, 2]])
        test = stats.paired_by_class(a, b, share)
        tests.append(test)
        assert test.difference == pytest.approx(by_class(a)[0] - by_class(b)[0])
    apart = np.array(by_class(a)[1]) - by_class(b)[1]
    error, degrees, reach = stats._jackknife(apart)
    assert [test.ci_low, test.ci_high] == pytest.approx(
        [test.difference - reach, test.difference + reach]
    )
    p = 2 * scipy_stats.t.sf(abs(test.difference) / error, degrees)
    assert (test.p_value, test.n) == (pytest.approx(p), 60)
    turned = stats.paired_by_class(b, a, share)
    assert (turned.difference, turned.p_value) == (
        pytest.approx(-test.difference), pytest.approx(test.p_value)
    )  # fmt: skip
    assert 0.02 <= np.mean([test.p_value < 0.05 for test in tests]) <= 0.09
    assert all((t.p_value < 0.05) == (t.ci_low * t.ci_high > 0) for t in tests)
