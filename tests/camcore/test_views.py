import pytest
import torch
from PIL import Image
from torchvision.transforms import functional

from camx.camcore import views


def test_the_paper_s_grid():
    view = views.view("ten-crop", 224)
    assert (view.grid, view.crops) == (256, 10)
    assert view.corners()[-1] == (16, 16)
    assert views.view("ten-crop", 112).grid == 128
    assert views.view("resize", 112) == views.View("resize", 112, 112)


def test_cut_is_torchvision_s_ten_crop():
    view = views.view("ten-crop", 56)
    images = torch.randint(0, 256, (2, 3, view.grid, view.grid), dtype=torch.uint8)
    expected = [crop for image in images for crop in functional.ten_crop(image, [56, 56])]
    assert torch.equal(views.cut(images, view), torch.stack(expected))


@pytest.mark.parametrize("crop", range(10))
def test_a_point_in_a_crop_lands_where_it_was_on_the_image(crop):
    """Mark one grid pixel, see where a crop shows it, draw a map with only that point, merge it."""
    view = views.view("ten-crop", 56)
    y, x = 30, 25
    image = torch.zeros(1, 3, view.grid, view.grid, dtype=torch.uint8)
    image[..., y, x] = 255
    shown = views.cut(image, view)[:, 0].float() / 255
    only = torch.zeros_like(shown)
    only[crop] = shown[crop]
    merged = views.merge(only, view)
    assert merged.shape == (1, view.grid, view.grid)
    assert merged.sum() == 1
    assert merged[0, y, x] == 1


def test_merge_sums_without_dividing():
    view = views.view("ten-crop", 224)
    merged = views.merge(torch.ones(10, 14, 14), view)[0]
    assert merged[0, 0] == 2
    assert merged[128, 128] == 10
    assert merged.sum() == pytest.approx(10 * 224 * 224)


def test_resize_view_upsamples_with_corners_aligned():
    view = views.view("resize", 7)
    merged = views.merge(torch.tensor([[[0.0, 6.0], [0.0, 6.0]]]), view)
    assert torch.allclose(merged[0, 3], torch.arange(7.0))


def test_squash_does_not_keep_the_aspect():
    image = Image.new("RGB", (40, 10), (10, 20, 30))
    squashed = views.squash(image, 8)
    assert squashed.shape == (3, 8, 8)
    assert squashed[:, 0, 0].tolist() == [10, 20, 30]


def test_an_unknown_view_is_named():
    with pytest.raises(ValueError, match="ten-crop"):
        views.view("five-crop", 224)
