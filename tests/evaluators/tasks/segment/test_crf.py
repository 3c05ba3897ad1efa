import builtins

import numpy as np
import pytest

from camx.evaluators.tasks.segment import crf


def test_edges_of_the_image_draw_the_mask():
    """A coarse guess over a bright square ends at its outline; probabilities remain such."""
    image = np.full((40, 40, 3), 20, np.uint8)
    image[10:30, 10:30] = 220
    image.flags.writeable = False  # as a decoded picture is
    guess = np.full((2, 40, 40), 0.3, np.float32)
    guess[1, 13:36, 13:36] = 0.7
    guess[0] = 1 - guess[1]
    refined = crf.refine(image, guess)
    assert np.allclose(refined.sum(0), 1, atol=1e-4)
    truth, pair = image[..., 0] > 100, (guess.argmax(0) == 1, refined.argmax(0) == 1)
    before, after = ((mask & truth).sum() / (mask | truth).sum() for mask in pair)
    assert before < 0.6
    assert after > 0.95


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    original = builtins.__import__

    def absent(name, *arguments):
        if name.startswith("pydensecrf"):
            raise ImportError(name)
        return original(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ModuleNotFoundError, match=r"pip install pydensecrf2"):
        crf.refine(np.zeros((4, 4, 3), np.uint8), np.ones((2, 4, 4), np.float32))
