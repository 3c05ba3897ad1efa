"""Batches that a device's memory does not hold are halved, and it is said once a size."""

import pytest
import torch

from camx.evaluators import memory


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    monkeypatch.setattr(memory, "_fitting", {})


def device(most, asked):
    """Work on a device that holds `most` rows at once; `asked` gets what it was asked for."""

    def work(rows):
        asked.append((rows.start, rows.stop))
        if rows.stop - rows.start > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return list(range(*rows.indices(10)))

    return work


def test_what_fits_is_done_at_once():
    asked = []
    assert memory.by_halves(device(4, asked), 10, 4, "cpu") == [
        [0, 1, 2, 3], [4, 5, 6, 7], [8, 9]
    ]  # fmt: skip
    assert asked == [(0, 4), (4, 8), (8, 12)]


def test_what_does_not_fit_is_halved_and_remembered():
    asked = []
    with pytest.warns(memory.Halved) as said:
        results = memory.by_halves(device(2, asked), 10, 8, "cpu")
    assert [row for part in results for row in part] == list(range(10))
    words = [str(warning.message) for warning in said]
    assert words == [f"{size} at once on cpu instead of 8" for size in (4, 2)]
    asked.clear()
    memory.by_halves(device(2, asked), 4, 8, "cpu")
    assert asked == [(0, 2), (2, 4)]
    memory.by_halves(device(8, asked), 8, 8, "another")
    assert asked[-1] == (0, 8)


def test_where_not_even_one_row_fits_it_is_an_error():
    with pytest.warns(memory.Halved), pytest.raises(torch.OutOfMemoryError):
        memory.by_halves(device(0, []), 4, 2, "cpu")
