import numpy as np
import pytest

from evaluators import stats


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
