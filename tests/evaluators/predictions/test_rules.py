import cv2
import numpy as np
import pytest

from camx.evaluators import heatmaps, pictures, protocols
from camx.evaluators.predictions import drawing, rules
from camx.evaluators.predictions.rules import PROTOCOLS, SPAN, Rule
from camx.evaluators.tasks.defects import masks
from camx.evaluators.types import Cell, Sample

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
CELL = Cell("layercam", ("S5",))
SAMPLE = Sample("a/photo.png", "/a/photo.png", 0)
PIXELS = np.zeros((16, 16, 3), np.uint8)


def rule(task, threshold, scale=rules.WHOLE, **fields):
    fields |= {"threshold": threshold} if task == "localize" else {}
    protocol = protocols.load("single", task, PROTOCOLS[task], fields)
    return Rule(task, protocol, threshold, scale)


@pytest.mark.parametrize("threshold", [0, 0.01, 0.15, 0.2, 0.35, 0.4, 0.6, 0.8, 0.99])
@pytest.mark.parametrize("task", PROTOCOLS)
def test_marked_is_what_is_above_its_share_of_255(task, threshold):
    mask = rule(task, threshold).mask(RAMP, CELL, SAMPLE, PIXELS)
    expected = [[round(100 * int(v)) > round(255 * 100 * threshold) for v in row] for row in RAMP]
    assert mask.dtype == np.uint8
    assert mask.tolist() == np.array(expected, int).tolist()


def test_of_defects_it_is_the_mask_that_a_record_holds():
    grid = masks.grid(99)
    codes = masks.encode(RAMP, grid)
    for code, threshold in zip(codes, grid):
        mask = rule("defects", float(threshold)).mask(RAMP, CELL, SAMPLE, PIXELS)
        assert (mask == masks.decode(code, 16, 16)).all()


@pytest.mark.parametrize("threshold", [0, 0.25, 0.5, 0.999])
def test_a_share_of_the_span_begins_at_the_minimum(threshold):
    heatmap = np.array([[40, 60, 80], [90, 100, 140]], np.uint8)
    mask = rule("localize", threshold, SPAN).mask(heatmap, CELL, SAMPLE, PIXELS[:2, :3])
    expected = [[(int(v) - 40) / 100 >= threshold for v in row] for row in heatmap]
    assert mask.astype(bool).tolist() == expected
    flat = np.full((2, 3), 7, np.uint8)
    assert not rule("localize", 0, SPAN).mask(flat, CELL, SAMPLE, PIXELS[:2, :3]).any()


def test_grabcut_is_what_localize_makes_of_the_same_picture():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 80, 3)).astype(np.uint8)
    pixels[10:40, 20:60] //= 4
    heatmap = cv2.GaussianBlur((pixels[..., 0] < 64).astype(np.uint8) * 255, (0, 0), 6)
    grabs = {"grabcut": ["S1"], "grabcut_methods": ["layercam"]}
    made = rule("localize", 0.5, **grabs)
    cell = Cell("layercam", ("S1",))
    mask = made.mask(heatmap, cell, SAMPLE, pixels)
    seeds = heatmaps.foreground(heatmap, 0.5)
    assert (mask == heatmaps.grabcut(pixels[..., ::-1].copy(), seeds, "photo")).all()
    assert (mask != seeds).any()
    assert (made.mask(heatmap, CELL, SAMPLE, pixels) == seeds).all()


def test_a_box_is_the_rules_and_none_where_nothing_is_marked():
    mask = np.zeros((20, 30), np.uint8)
    assert rule("localize", 0.5).box(mask) == (0, 0, 0, 0)
    mask[2:6, 3:9] = 1
    mask[10:12, 20] = 1
    assert rule("localize", 0.5).box(mask) == rule("defects", 0.5).box(mask) == (3, 2, 9, 6)


def test_an_overlay_has_the_style_of_all_pictures():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 50, 3)).astype(np.uint8)
    heatmap = rng.integers(0, 256, (40, 50)).astype(np.uint8)
    expected = pictures.overlay(pixels, heatmap).astype(int)
    assert np.abs(drawing.blended(pixels, heatmap).astype(int) - expected).max() <= 1
    mask = np.zeros((40, 50), np.uint8)
    assert (
        drawing.overlay(pixels, heatmap, mask, (0, 0, 0, 0)) == drawing.blended(pixels, heatmap)
    ).all()
    mask[10:20, 15:30] = 1
    drawn = drawing.overlay(pixels, heatmap, mask, (15, 10, 30, 20))
    blue = (drawn == (0, 0xB4, 0xFF)).all(2)
    assert blue[10, 15:30].all()
    assert blue[10:20, 29].all()
    assert not blue[12:18, 17:28].any()
