"""What workers do with an image, besides what the tests of tasks say of it."""

import numpy as np
import pytest
import torch

from camx.evaluators import grading


def test_the_softmax_of_large_logits():
    found = grading.probabilities(np.array([1000.0, 1000.0, 0.0], np.float32))
    assert found.dtype == np.float64
    assert found.tolist() == [0.5, 0.5, 0]


def test_the_softmax_is_torch_s():
    """But for the last bits of a double."""
    made = np.random.default_rng(0)
    for count in (1, 2, 10, 1000):
        logits = (9 * made.normal(size=count)).astype(np.float32)
        expected = torch.from_numpy(logits).double().softmax(0).numpy()
        np.testing.assert_allclose(grading.probabilities(logits), expected, rtol=1e-13)


def test_no_numbers_have_no_softmax():
    with pytest.raises(ValueError, match=r"logits \[1.0, nan\] are no numbers"):
        grading.probabilities(np.array([1, np.nan], np.float32))
