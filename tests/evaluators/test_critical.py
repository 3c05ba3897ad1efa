"""Friedman, Iman and Davenport, Nemenyi: by hand, by Demsar's tables and example, by SciPy."""

import itertools
import warnings

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from camx.evaluators import critical, ordering

# Demsar 2006, table 5a.
TABLE = {
    0.05: (1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164),
    0.10: (1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920),
}
# The same, section 3.2.4: the mean ranks of C4.5, C4.5+m, C4.5+cf and C4.5+m+cf on 14 data sets.
C45 = (3.143, 2.000, 2.893, 1.964)


@pytest.mark.parametrize("alpha", TABLE)
def test_nemenyi_s_quantiles_are_the_table_s(alpha):
    ours = [critical.quantile(methods, alpha) for methods in range(2, 11)]
    assert ours == pytest.approx(TABLE[alpha], abs=1e-3)


@pytest.mark.parametrize(("methods", "blocks"), [(2, 5), (3, 4), (5, 10), (10, 30)])
def test_the_critical_difference_is_the_formula_s(methods, blocks):
    by_hand = TABLE[0.05][methods - 2] * (methods * (methods + 1) / (6 * blocks)) ** 0.5
    assert critical.difference(methods, blocks) == pytest.approx(by_hand, rel=5e-4)


def by_formula(ranks):
    """Friedman's statistic and Iman and Davenport's, as Demsar's section 3.2.2 writes them."""
    n, k = len(ranks), len(ranks[0])
    means = [sum(row[j] for row in ranks) / n for j in range(k)]
    total = sum(mean**2 for mean in means)
    statistic = 12 * n / (k * (k + 1)) * (total - k * (k + 1) ** 2 / 4)
    return statistic, (n - 1) * statistic / (n * (k - 1) - statistic)


def test_demsar_s_example():
    """Nothing is told apart at 0.05; at 0.10 C4.5 is worse than C4.5+m and C4.5+m+cf."""
    assert by_formula([C45] * 14) == pytest.approx((9.28, 3.69), abs=0.02)
    difference = critical.difference(4, 14)
    assert difference == pytest.approx(1.25, abs=0.005)
    assert critical.groups(C45, difference) == [(3, 1, 2, 0)]
    difference = critical.difference(4, 14, 0.10)
    assert difference == pytest.approx(1.12, abs=0.005)
    bars = critical.groups(C45, difference)
    assert bars == [(3, 1, 2), (2, 0)]
    assert critical.letters(4, bars) == ["b", "a", "ab", "a"]


@pytest.mark.parametrize("seed", range(5))
def test_friedman_without_ties_is_the_formula(seed):
    rng = np.random.default_rng(seed)
    ranks = np.array([rng.permutation(5) + 1.0 for _ in range(7)])
    test = critical.friedman(ranks)
    assert (test.statistic, test.f) == pytest.approx(by_formula(ranks))
    assert test.p_value == pytest.approx(1 - scipy.stats.chi2.cdf(test.statistic, 4))
    assert test.p_f == pytest.approx(1 - scipy.stats.f.cdf(test.f, 4, 24))


@pytest.mark.parametrize("seed", range(5))
def test_friedman_with_ties_is_scipy_s(seed):
    merits = np.random.default_rng(seed).integers(4, size=(6, 4)).astype(float)
    test = critical.friedman(ordering.ranks(merits))
    assert (test.statistic, test.p_value) == pytest.approx(
        tuple(scipy.stats.friedmanchisquare(*merits.T))
    )


def test_ends():
    same = np.tile([1.0, 2.0, 3.0], (4, 1))
    test = critical.friedman(same)
    assert (test.statistic, test.f, test.p_f) == (8, float("inf"), 0)  # N (k - 1)
    test = critical.friedman(np.full((3, 3), 2.0))
    assert (test.statistic, test.p_value) == (0, 1)
    for shape in ((1, 3), (3, 2)):
        with pytest.raises(ValueError, match="two blocks and three methods"):
            critical.friedman(np.ones(shape))


def test_two_methods_by_wilcoxon():
    """Exactly: of the 2^6 signs, those whose smaller sum of ranks is at most as small."""
    differences = np.array([1.0, 2.0, -0.5, 3.0, 4.0, 5.0])
    ranks = scipy.stats.rankdata(np.abs(differences))
    sums = [
        sum(r for r, s in zip(ranks, signs) if s) for signs in itertools.product((0, 1), repeat=6)
    ]
    smaller = [min(s, 21 - s) for s in sums]
    test = critical.wilcoxon(differences)
    assert test.statistic == 1
    assert test.p_value == pytest.approx(np.mean([s <= 1 for s in smaller]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert critical.wilcoxon(np.zeros(3)).p_value == 1
        assert critical.wilcoxon(np.array([0.0, 1.0])).p_value == 1


def every_bar(means, difference):
    """All largest sets of two or more whose every pair is closer than the difference."""
    sets = [
        set(chosen)
        for count in range(2, len(means) + 1)
        for chosen in itertools.combinations(range(len(means)), count)
        if max(means[p] for p in chosen) - min(means[p] for p in chosen) < difference
    ]
    return [s for s in sets if not any(s < other for other in sets)]


@given(
    st.lists(st.sampled_from([1.0, 1.5, 2.0, 2.25, 3.0, 4.5]), min_size=2, max_size=6),
    st.sampled_from([0.25, 0.5, 1.0, 1.6, 9.0]),
)
def test_bars_are_the_largest_sets_of_close_ones(means, difference):
    bars = critical.groups(means, difference)
    ours = sorted(sorted(bar) for bar in bars)
    assert ours == sorted(sorted(bar) for bar in every_bar(means, difference))
    assert all([means[p] for p in bar] == sorted(means[p] for p in bar) for bar in bars)


def test_letters_go_on_after_z():
    assert critical.letters(60, [(n,) for n in range(60)])[25:28] == ["z", "a1", "b1"]
