"""Pictures as rendered: boxes told apart by anybody, empty maps marked, PDFs of vectors."""

import io
import re
import zlib

import numpy as np
import pytest
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from camx.evaluators import pictures
from camx.evaluators.pictures import marks, panel, plate
from camx.evaluators.pictures.marks import Area
from camx.evaluators.pictures.panel import Panel
from camx.evaluators.pictures.plate import Plate

# Machado, Oliveira and Fernandes 2009, "A physiologically-based model for simulation of color
# vision deficiency", severity 1.0; they are applied to linear RGB.
SEEN = {
    "by all": np.eye(3),
    "by deuteranopes": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "by protanopes": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
}
AREA = Area(0.5, 0.5, 1.0, 1.0)  # inches, on a sheet of 2 x 2
TRUE, PREDICTED = (10, 10, 60, 60), (30, 30, 90, 90)  # in a picture of 100 x 100
APART, LIGHTER = 20, 15  # of CIEDE2000, of L*


def simulated(colours, matrix):
    """What somebody sees of sRGB colours ``(..., 3)`` in [0, 1], as Lab."""
    colours = np.asarray(colours, float)
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ matrix.T, 0, 1)
    return rgb2lab(np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055))


def rendered(shown):
    """The pixels of a panel on its sheet, ``(400,400,3)`` in [0, 1]."""
    axes = marks.sheet(2, 2)
    panel.draw(axes, AREA, shown)
    file = io.BytesIO()
    marks.figure_of(axes).savefig(file, format="png")
    pixels = np.asarray(Image.open(file).convert("RGB")) / 255
    assert pixels.shape == (400, 400, 3)
    return pixels


def bands(grey=128):
    """A picture of one grey, and a map of three bands: 0, the middle, the maximum."""
    heatmap = np.repeat(np.array([0, 128, 255], np.uint8), (34, 33, 33))
    return np.full((100, 100, 3), grey, np.uint8), np.tile(heatmap, (100, 1))


def along(pixels, box, offset=0):
    """The rendered pixels along a box's left edge, `offset` pixels to the right of its middle."""
    x = 100 + 2 * box[0] + offset  # 200 pixels an inch, two a pixel of the picture
    return pixels[100 + 2 * box[1] + 12 : 100 + 2 * box[3] - 12, x - 1 : x + 1].mean(1)


def boxed(grey=128):
    image, heatmap = bands(grey)
    return rendered(Panel(image, heatmap, (TRUE,), PREDICTED, 0.5))


def outlined(grey=128):
    """A true mask's edge and a predicted box."""
    image, heatmap = bands(grey)
    mask = np.zeros((100, 100), bool)
    mask[TRUE[1] : TRUE[3], TRUE[0] : TRUE[2]] = True
    return rendered(Panel(image, heatmap, (), PREDICTED, outline=mask))


def lines(pixels):
    """The colours of the true line's dashes and of the predicted line."""
    true, predicted = along(pixels, TRUE), along(pixels, PREDICTED)
    lightest = true[np.argsort(true.sum(1))[-len(true) // 5 :]]
    return np.median(lightest, 0), np.median(predicted, 0)


def faults(true, predicted, backgrounds):
    """Who takes the two lines, or one of them and what is below, for one."""
    wrong = []
    for who, matrix in SEEN.items():
        a, b, *below = simulated([true, predicted, *backgrounds], matrix)
        if deltaE_ciede2000(a, b) < APART:
            wrong.append(f"true and predicted {who}")
        if abs(a[0] - b[0]) < LIGHTER:
            wrong.append(f"true and predicted in grey {who}")
        for line, name in ((a, "true"), (b, "predicted")):
            if min(deltaE_ciede2000(line, under) for under in below) < APART:
                wrong.append(f"{name} and the map {who}")
    return wrong


@pytest.mark.parametrize("draw", [boxed, outlined])
def test_anybody_tells_true_and_predicted_apart_and_both_from_the_map(draw):
    pixels = draw()
    true, predicted = lines(pixels)
    below = [pixels[285, 100 + 2 * x] for x in (17, 50, 83)]  # of the bands, off the lines
    assert np.ptp([colour.sum() for colour in below]) > 0.8  # they are the bands
    assert faults(true, predicted, below) == []


def test_the_red_and_green_of_before_are_taken_for_one():
    wrong = faults((1, 0, 0), (0, 1, 0), [(0, 0, 0.5), (0.5, 1, 0.5), (0.5, 0, 0)])  # over jet
    assert "true and the map by protanopes" in wrong
    assert "predicted and the map by all" in wrong or "predicted and the map by protanopes" in wrong


@pytest.mark.parametrize("grey", [0, 128, 255])
@pytest.mark.parametrize("draw", [boxed, outlined])
def test_lines_are_cased_so_that_they_stand_out_from_any_picture(draw, grey):
    pixels = draw(grey)
    for colour, box, beside in zip(lines(pixels), (TRUE, PREDICTED), (2 + (draw is boxed), 3)):
        dark = along(pixels, box, -beside).min(0)
        light = [simulated(one, np.eye(3))[0] for one in (colour, dark)]
        assert light[0] - light[1] > 40


def test_true_lines_are_dashed_and_predicted_ones_solid():
    pixels = boxed()
    true, predicted = along(pixels, TRUE), along(pixels, PREDICTED)
    white = (true.min(1) > 0.8).mean()
    assert 0.3 < white < 0.8
    changes = np.abs(np.diff((true.min(1) > 0.8).astype(int))).sum()
    assert changes >= 6
    assert np.abs(predicted - np.median(predicted, 0)).max(1).mean() < 0.02


def test_of_two_boxes_in_one_place_both_are_seen():
    image, heatmap = bands()
    edge = along(rendered(Panel(image, heatmap, (TRUE,), TRUE, 1.0)), TRUE)
    blue = np.array([0, 0xB4, 0xFF]) / 255
    assert (edge.min(1) > 0.8).mean() > 0.3
    assert (np.abs(edge - blue).max(1) < 0.15).mean() > 0.1


def drawn(**changed):
    """A plate of two by two panels, and the words on it."""
    image, heatmap = bands()
    one = Panel(image, heatmap, (TRUE,), PREDICTED, 0.4567)
    panels = {(row, column): one for row in range(2) for column in range(2)}
    panels[1, 1] = Panel(image, np.zeros_like(heatmap), (TRUE,), PREDICTED, 0.0)
    about = ("network n (weights)", "protocol p", "photo$1$.png, 100 x 100 pixels")
    parts = {
        "title": "espresso (90 %)", "about": about, "rows": ("Grad-CAM", "LayerCAM"),
        "columns": ("S5\nfeatures.29", "S4"), "panels": panels,
        "photograph": Panel(image, truths=(TRUE,)),
    }  # fmt: skip
    figure = plate.draw(Plate(**{**parts, **changed}))
    (axes,) = figure.axes
    return figure, [text.get_text() for text in axes.texts]


def test_a_plate_says_what_is_shown():
    figure, texts = drawn()
    for told in (
        "espresso (90 %)", "network n (weights)", "protocol p", "Grad-CAM", "LayerCAM", "S5",
        "features.29", "S4", "true box", "predicted box, with its IoU", "0", "each map's maximum",
    ):  # fmt: skip
        assert told in texts
    assert "".join(texts).count("photo$1$.png") == 1
    assert texts.count("IoU 0.46") == 3
    assert texts.count("IoU 0.00") == texts.count(panel.EMPTY) == 1
    assert figure.get_size_inches()[0] == pictures.COLUMN
    (axes,) = figure.axes
    assert len(axes.images) == 1 + 4 + 1  # the photograph once, the maps, the bar
    assert min(text.get_fontsize() for text in axes.texts) >= 7


def test_an_empty_map_has_no_box_and_a_constant_one_is_told():
    image, heatmap = bands()
    axes = marks.sheet(2, 2)
    panel.draw(axes, AREA, Panel(image, np.zeros_like(heatmap), (), PREDICTED))
    assert not axes.patches
    assert [text.get_text() for text in axes.texts] == ["empty map"]
    axes = marks.sheet(2, 2)
    panel.draw(axes, AREA, Panel(image, np.full_like(heatmap, 7), (), PREDICTED))
    assert len(axes.patches) == 2
    assert [text.get_text() for text in axes.texts] == ["constant map"]
    assert Panel(image, heatmap).told == Panel(image).told == ""


def test_what_is_not_shown_has_no_entry_in_the_key():
    image, heatmap = bands()
    _, texts = drawn(panels={(0, 0): Panel(image, heatmap)}, photograph=None)
    assert not {"true box", "predicted box, with its IoU", "predicted box"} & set(texts)
    _, texts = drawn(panels={(0, 0): Panel(image)}, photograph=None, colours={"cat": (1, 0, 0)})
    assert "cat" in texts
    assert "each map's maximum" not in texts


@pytest.mark.parametrize(
    ("columns", "least", "most"),
    [(1, 3.5, 3.5), (2, 3.5, 3.5), (3, 7.16, 7.16), (8, 7.16, 7.16), (12, 9, 20)],
)
def test_a_plate_is_a_column_or_a_page_wide(columns, least, most):
    image, heatmap = bands()
    panels = {(0, column): Panel(image, heatmap) for column in range(columns)}
    titles = tuple(f"S{column}" for column in range(columns))
    figure, _ = drawn(panels=panels, rows=("LayerCAM",), columns=titles)
    assert least <= figure.get_size_inches()[0] <= most


@pytest.mark.parametrize("sides", [(1000, 30), (30, 1000), (2, 3), (1, 1)])
def test_strips_and_specks_are_drawn(sides, tmp_path):
    image = np.full((*sides, 3), 90, np.uint8)
    heatmap = np.linspace(0, 255, image[..., 0].size).astype(np.uint8).reshape(sides)
    panels = {(0, 0): Panel(image, heatmap, (), (0, 0, 1, 1), 0.25)}
    figure, texts = drawn(panels=panels, rows=("LayerCAM-normal",), columns=("S5",))
    wide, high = figure.get_size_inches()
    assert 1 < high < 2.5 * wide
    assert "LayerCAM-normal" in texts or {"LayerCAM-", "normal"} <= set(texts)
    for name in ("a.png", "a.pdf"):
        pictures.write(figure, tmp_path / name)


def test_pictures_are_shrunk_to_what_is_printed_in_their_own_proportions():
    assert marks.shrunk(np.zeros((3000, 4000, 3), np.uint8), Area(0, 0, 1, 0.75)).shape == (
        150, 200, 3,
    )  # fmt: skip
    assert marks.shrunk(np.zeros((10, 12), np.uint8), Area(0, 0, 1, 1)).shape == (10, 12)
    assert Area(1, 1, 2, 2).holding(50, 100) == Area(1, 1.5, 2, 1)


def test_outlines_go_round_every_part_and_hole_of_a_mask():
    mask = np.zeros((20, 20), bool)
    mask[2:10, 2:10] = True
    mask[4:6, 4:6] = False
    mask[15, 19] = True
    axes = marks.sheet(2, 2)
    marks.outline(axes, Area(0, 0, 2, 2), mask)
    corners = [np.unique(p.get_path().vertices.round(3), axis=0) for p in axes.patches[::2]]
    assert len(corners) == 3
    spans = sorted(tuple(np.ptp(places, axis=0).round(1).tolist()) for places in corners)
    assert spans == [(0.1, 0.1), (0.2, 0.2), (0.8, 0.8)] or spans[2] == (0.8, 0.8)


def test_a_pdf_s_boxes_and_words_are_vectors(tmp_path):
    path = tmp_path / "plate.pdf"
    figure, _ = drawn()
    pictures.write(figure, path)
    content = path.read_bytes()
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.S)
    pages = []
    for stream in streams:
        try:
            pages.append(zlib.decompress(stream))
        except zlib.error:
            continue
    (page,) = (text for text in pages if b" RG" in text and b"BT" in text)
    assert content.count(b"/Subtype /Image") == 6
    assert page.count(b" Do") >= 6
    blue = rb"0 0\.70588\d* 1 RG"
    assert len(re.findall(blue, page)) >= 1
    assert len(re.findall(rb"\[[\d. ]+\] [\d.]+ d", page)) >= 1  # dashes
    figure, _ = drawn()
    pictures.write(figure, tmp_path / "again.pdf")
    assert (tmp_path / "again.pdf").read_bytes() == content
