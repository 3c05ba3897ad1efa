import builtins

import numpy as np
import pytest

from evaluators import crf


def test_edges_of_the_image_draw_the_mask():
    """A coarse guess over a bright square ends at the square's own outline; probabilities remain such."""
    image = np.full((40, 40, 3), 20, np.uint8)
    image[10:30, 10:30] = 220
    image.flags.writeable = False  # as a decoded picture is
    guess = np.full((2, 40, 40), 0.3, np.float32)
    guess[1, 13:36, 13:36] = 0.7
    guess[0] = 1 - guess[1]
    found = crf.refine(image, guess)
    assert np.allclose(found.sum(0), 1, atol=1e-4)
    truth = image[..., 0] > 100
    before, after = ((m & truth).sum() / (m | truth).sum() for m in (guess.argmax(0) == 1, found.argmax(0) == 1))
    assert before < 0.6
    assert after > 0.95


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    original = builtins.__import__

    def absent(name, *arguments):
        if name.startswith("pydensecrf"):
            raise ImportError(name)
        return original(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'camx\[crf\]'"):
        crf.refine(np.zeros((4, 4, 3), np.uint8), np.ones((2, 4, 4), np.float32))
