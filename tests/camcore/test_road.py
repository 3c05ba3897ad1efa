"""ROAD's fill against the sparse direct solution, and as other packages compute it."""

import numpy as np
import pytest
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

from camx.camcore import road

WEIGHT = {1: 1 / 6, 2: 1 / 12}  # by how many of row and column differ


def direct(image, removed):
    """The equations pixel by pixel, solved directly: ``(3,h,w)`` in double."""
    height, width = removed.shape
    pixels = [(y, x) for y in range(height) for x in range(width) if removed[y, x]]
    number = {pixel: at for at, pixel in enumerate(pixels)}
    entries, right = [], np.zeros((len(pixels), 3))
    for (y, x), at in number.items():
        total = 0.0
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                beside = y + dy, x + dx
                inside = 0 <= beside[0] < height and 0 <= beside[1] < width
                if (dy, dx) == (0, 0) or not inside:
                    continue
                weight = WEIGHT[abs(dy) + abs(dx)]
                total += weight
                if beside in number:
                    entries.append((-weight, at, number[beside]))
                else:
                    right[at] += weight * image[(slice(None), *beside)]
        entries.append((total, at, at))
    values, rows, columns = zip(*entries)
    solution = spsolve(coo_matrix((values, (rows, columns))).tocsc(), right)
    filled = image.astype(float)
    filled[:, removed] = solution.reshape(-1, 3).T
    return filled


def cases(height, width):
    """Removed pixels by what they are."""
    rng = np.random.default_rng(height)
    everything = np.ones((height, width), bool)
    one, corner, line, frame = (everything.copy() for _ in range(4))
    one[height // 2, width // 3] = corner[-1, -1] = False
    line[:, width // 2] = False  # two parts that do not touch
    frame[2:-2, 2:-2] = False
    y, x = np.mgrid[:height, :width]
    return {
        "a few": rng.random((height, width)) < 0.1,
        "95 %": rng.random((height, width)) < 0.95,
        "all but one": one,
        "all but a corner": corner,
        "all but a line": line,
        "the frame": frame,
        "a disc": (y - height / 2) ** 2 + (x - width / 3) ** 2 < (height / 3) ** 2,
        "chequers": (y + x) % 2 == 0,
        "one pixel": (y == 1) & (x == 0),
    }


def picture(height, width):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(y / 9), np.cos(x / 7), np.sin((x + y) / 5)])
    return (2 * waves + 0.3 * rng.normal(size=waves.shape)).astype(np.float32)


@pytest.mark.parametrize("size", [(33, 40), (64, 49), (7, 5), (1, 9)])
def test_the_fill_is_the_direct_solution(size):
    """Of a whole batch at once, each as if it were alone."""
    image = picture(*size)
    masks = {name: mask for name, mask in cases(*size).items() if mask.any() and not mask.all()}
    images = torch.from_numpy(image).expand(len(masks), -1, -1, -1)
    filled = road.fill(images, torch.from_numpy(np.stack(list(masks.values()))))
    assert filled.dtype == torch.float32
    for (name, mask), made in zip(masks.items(), filled.numpy()):
        assert np.abs(made - direct(image, mask)).max() < 1e-4, name
        assert (made[:, ~mask] == image[:, ~mask]).all(), name


@pytest.mark.slow
def test_the_fill_of_a_large_image():
    image = picture(150, 224)
    masks = cases(150, 224)
    for name in ("95 %", "all but a corner", "a disc"):
        (made,) = road.fill(torch.from_numpy(image)[None], torch.from_numpy(masks[name])[None])
        assert np.abs(made.numpy() - direct(image, masks[name])).max() < 1e-4, name


def test_what_leaves_nothing_is_zero_and_what_removes_nothing_is_the_image():
    images = torch.from_numpy(picture(20, 20)).expand(2, -1, -1, -1)
    removed = torch.tensor([True, False])[:, None, None].expand(2, 20, 20)
    filled = road.fill(images, removed)
    assert filled[0].eq(0).all()
    assert filled[1].equal(images[1])


def test_neighbours_in_the_batch_change_nothing():
    masks = torch.from_numpy(np.stack(list(cases(40, 40).values())))
    images = torch.from_numpy(picture(40, 40)).expand(len(masks), -1, -1, -1)
    together = road.fill(images, masks)
    for at in (1, 6):
        alone = road.fill(images[at : at + 1], masks[at : at + 1])
        assert (alone[0] - together[at]).abs().max() < 1e-6


def test_an_equation_that_is_not_solved_is_an_error(monkeypatch):
    monkeypatch.setattr(road, "ROUNDS", 0)
    images = torch.from_numpy(picture(20, 20))[None]
    with pytest.raises(ArithmeticError, match="not solved in 0 rounds"):
        road.fill(images, torch.ones(1, 20, 20, dtype=torch.bool))


def test_noise_is_an_image_s():
    shape = 3, 50, 60
    values = road.noise("a", 0, shape)
    assert values.equal(road.noise("a", 0, shape))
    assert not values.equal(road.noise("b", 0, shape))
    assert not values.equal(road.noise("a", 1, shape))
    assert abs(float(values.std()) - 0.01) < 3e-4
    assert abs(float(values.mean())) < 3e-4


@pytest.mark.parametrize("name", ["a few", "95 %", "all but a line", "the frame"])
def test_pytorch_grad_cam_and_quantus_fill_the_same(name):
    """Without noise; theirs is drawn anew with each call, from the global generator."""
    pytest.importorskip("pytorch_grad_cam", reason="extra `bench` is not installed")
    from pytorch_grad_cam.metrics.road import NoisyLinearImputer

    image, mask = picture(33, 40), cases(33, 40)[name]
    (made,) = road.fill(torch.from_numpy(image)[None], torch.from_numpy(mask)[None])
    theirs = NoisyLinearImputer(noise=0)(torch.from_numpy(image), torch.from_numpy(~mask).float())
    assert (made - theirs).abs().max() < 1e-4
    quantus = pytest.importorskip("quantus", reason="quantus is not installed")
    indices = np.flatnonzero(mask)
    theirs = quantus.functions.perturb_func.noisy_linear_imputation(image, indices, noise=0)
    assert np.abs(made.numpy() - theirs).max() < 1e-4


def dense(multiply, mask):
    """The matrix of a linear map of one channel's grid, where there is something to solve."""
    unit = torch.eye(mask.shape[-1], dtype=mask.dtype)[None] * mask
    return multiply(unit)[0].mT


@pytest.mark.parametrize("size", [(12, 17), (9, 6), (1, 8)])
def test_coarser_equations_are_those_that_the_finer_imply(size):
    """Restricted, multiplied and prolonged, by whole matrices, twice; prolonged as interpolated."""
    removed = torch.from_numpy(np.random.default_rng(1).random(size) < 0.8)[None, None].double()
    level, stencil = road._finest(removed), road._stencil(removed)
    for _ in range(2):
        coarser, stencil = road._implied(level, stencil)
        prolong = dense(level.prolong, coarser.mask)
        restrict = dense(level.restrict, level.mask)
        assert torch.equal(restrict[coarser.mask[0, 0] > 0], prolong.mT[coarser.mask[0, 0] > 0])
        expected = prolong.mT @ dense(level.apply, level.mask) @ prolong
        assert (dense(coarser.apply, coarser.mask) - expected).abs().max() < 1e-12
        rows, columns = (side // 2 for side in level.size)
        values = torch.zeros(coarser.size, dtype=torch.double)
        values[1 : rows + 1, 1 : columns + 1] = torch.rand(rows, columns)
        between = torch.nn.functional.interpolate(
            values[None, None, 1 : rows + 1, 1 : columns + 1],
            size=(2 * rows - 1, 2 * columns - 1), mode="bilinear", align_corners=True,
        )  # fmt: skip
        wide = torch.nn.functional.pad(between, (1, 1, 1, 1)).flatten(2)
        made = level.prolong(values.flatten()[None, None])
        assert (made - level.mask * wide).abs().max() < 1e-12
        level = coarser


def test_a_small_hole_is_solved_where_it_is():
    """The rest of the image takes no part, wherever the hole lies; nor do a batch's others."""
    image, (height, width) = picture(60, 50), (60, 50)
    for y, x in ((0, 0), (height - 3, width - 4), (20, 30), (20, 0)):
        mask = np.zeros((height, width), bool)
        mask[y : y + 3, x : x + 4] = True
        (made,) = road.fill(torch.from_numpy(image)[None], torch.from_numpy(mask)[None])
        assert np.abs(made.numpy() - direct(image, mask)).max() < 1e-4
        assert (made.numpy()[:, ~mask] == image[:, ~mask]).all()
