"""The contact sheet: what stands where, and that it is said."""

import numpy as np

from camx.evaluators.pictures import panel, plate
from camx.evaluators.tasks.defects import sheet


def test_images_down_and_maps_across():
    image = np.full((20, 30, 3), 90, np.uint8)
    truth = np.zeros((20, 30), bool)
    truth[4:9, 5:12] = True
    ramp = np.tile(np.arange(0, 240, 8, dtype=np.uint8), (20, 1))
    maps = {"LayerCAM\nlayer3": ramp, "Grad-CAM\nlayer3": np.zeros_like(ramp)}
    made = sheet.contact_sheet(
        [("Class1\nTest/1", image, truth, maps), ("b", image, truth, maps)], ["network n"]
    )
    assert made.columns == ("image", "ground truth", *maps)
    assert len(made.panels) == 2 * 4
    assert made.panels[1, 0].outline is None
    white = made.panels[0, 1].image
    assert ((white == 255).all(2) == truth).all()
    assert ((white == 0).all(2) == ~truth).all()
    for row in range(2):
        for column in (2, 3):
            assert (made.panels[row, column].outline == truth).all()
    assert (made.panels[0, 2].heatmap == ramp).all()
    assert made.panels[0, 3].told == panel.EMPTY
    (axes,) = plate.draw(made).axes
    texts = [text.get_text() for text in axes.texts]
    told = {"Class1", "Test/1", "LayerCAM", "layer3", "edge of the true mask", "network n"}
    assert told <= set(texts)
    assert texts.count("empty map") == 2
