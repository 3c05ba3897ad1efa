"""Figures of recorded runs and on the spot: what they are of, and what they say."""

import csv
import io
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from camx.evaluators import drawings, draws, records, tasks
from camx.evaluators.drawings import sources
from camx.evaluators.drawings.sources import Choice, Sources, Spot
from camx.evaluators.results import figures
from camx.evaluators.results.figures import Figure

BOXES = """
title: Boxes
source: this test
command: localize
kind: maps
images: 2
shows: [boxes]
columns:
  Grad-CAM: {method: gradcam, layer: S5}
  LayerCAM: {method: layercam, layer: S5+S4}
"""


def words(made):
    """All the words of a picture."""
    return [text.get_text() for axes in made.picture.axes for text in axes.texts]


@pytest.fixture
def boxes(tmp_path):
    (tmp_path / "boxes.yaml").write_text(BOXES)
    return figures.load(str(tmp_path / "boxes.yaml"))


@pytest.fixture
def run(camx, tmp_path):
    """A run of both cells on three images, one view each."""
    cells = ("--method", "gradcam", "--method", "layercam", "--layer", "S5", "--layer", "S5+S4")
    camx("localize", "--protocol", "single", *cells, "--limit", 3, "--no-summary", "--seed", 0)
    return tmp_path / "results/localize"


def test_a_run_s_boxes_have_the_iou_that_was_recorded(boxes, run):
    frame = records.read(run)
    images = tuple(sorted(set(frame["image_id"])))
    made = drawings.draw(boxes, run.parent, Choice(images))
    shown = [word for word in words(made) if word.startswith("IoU ")]
    kept = frame[
        frame["method"].eq("gradcam") & frame["layer"].eq("S5")
        | frame["method"].eq("layercam") & frame["layer"].eq("S5+S4")
    ]  # fmt: skip
    kept = kept.sort_values(["image_id", "method"])
    assert shown == [f"IoU {iou:.2f}" for iou in kept["iou"]]
    assert len(shown) == 6
    told = " ".join(words(made))
    assert str(run) in " ".join(made.about)
    for part in ("network mini-vgg", "protocol single: resize view", "data mini: run", *images):
        assert part in told
    assert "Figure boxes. Boxes" in told


def test_without_a_run_the_miniature_is_shown(boxes, tmp_path):
    made = drawings.draw(boxes, tmp_path / "nothing", Choice(count=1, seed=3))
    assert "protocol paper: ten-crop view" in " ".join(words(made))
    assert sum(word.startswith("IoU ") for word in words(made)) == 2
    assert "run" not in made.about[-1].split()


def test_a_run_s_data_and_weights_must_be_what_they_were(boxes, run, monkeypatch):
    path = run / "run.json"
    whole = path.read_text()
    for old, new, told in (
        ('"fingerprint": "', '"fingerprint": "0', "data mini are not the images"),
        ('"weights_sha256": "', '"weights_sha256": "0', "are not those that were measured"),
        ('"weights": null', '"weights": "gone.pth"', "gone.pth"),
        ('"data": "mini"', '"data": "gone.py"', "gone.py"),
        ('"threshold": 0.15', '"threshold": 15', "threshold is 15"),
    ):
        path.write_text(whole.replace(old, new))
        assert path.read_text() != whole
        with pytest.raises((ValueError, FileNotFoundError), match=re.escape(told)) as error:
            drawings.draw(boxes, run.parent)
        assert str(error.value).startswith(f"{path}: ")
        assert "\n" not in str(error.value)


def test_the_newest_run_that_suits_is_taken(boxes, run, tmp_path):
    later, other = tmp_path / "results/later", tmp_path / "results/other"
    for folder, model in ((later, "mini-vgg"), (other, "mini-resnet")):
        shutil.copytree(run, folder)
        content = json.loads((folder / "run.json").read_text())
        content["model"] = model
        content["invocations"][-1]["start"] = f"29{'99' if folder == other else '98'}-01-01"
        if folder == other:
            content["layers"] = {f"layer{n}": {} for n in range(1, 5)}
        (folder / "run.json").write_text(json.dumps(content))
    assert Sources(tmp_path / "results").of(boxes).origin == str(later)
    assert sources.suits(records.load(later), boxes)
    assert not sources.suits(records.load(other), boxes)
    assert not sources.suits(records.load(later), figures.load("7"))
    assert Sources(tmp_path / "results", spot=Spot(data="mini")).of(boxes).origin == ""


def test_images_by_name_by_file_and_at_random(boxes, tmp_path):
    source = Sources(None).of(boxes)
    samples = source.dataset.samples
    named = sources.pick(source, Choice((samples[5].image_id, str(samples[2].path))), 9)
    assert named == [samples[5], samples[2]]
    assert sources.pick(source, Choice(seed=4), 3) == list(draws.pick(samples, 3, None, 4))
    assert len(sources.pick(source, Choice(count=7), 3)) == 7
    with pytest.raises(ValueError, match=r"mini_val_00000001x: no such file, nor image such as"):
        sources.pick(source, Choice((samples[0].image_id + "x",)), 1)
    Image.new("RGB", (30, 20), (200, 30, 30)).save(tmp_path / "photo.png")
    (photo,) = sources.pick(source, Choice((str(tmp_path / "photo.png"),)), 1)
    assert (photo.label, photo.boxes) == (sources.UNKNOWN, ())


def test_photographs_are_shown_to_a_network_that_knows_photographs(boxes, tmp_path):
    rows = np.arange(40 * 60 * 3, dtype=np.uint32) % 251
    Image.fromarray(rows.astype(np.uint8).reshape(40, 60, 3)).save(tmp_path / "photo.png")
    spot = Spot(protocol="single")
    made = drawings.draw(boxes, Sources(None, spot=spot), Choice((str(tmp_path / "photo.png"),)))
    assert "network efficientnet-lite0" in made.about[0]
    assert not [word for word in words(made) if word.startswith("IoU")]
    assert "true box" not in words(made)
    assert "predicted box" in words(made)


def test_defects_are_of_the_test_images_and_have_their_truth():
    figure = figures.load("7")
    source = Sources(None).of(figure)
    samples = sources.pick(source, Choice(), 5)
    assert all(s.label and s.mask and s.split == "test" for s in samples)
    made = drawings.draw(figure, None, Choice(count=1))
    assert {"image", "ground truth", "LayerCAM", "Grad-CAM++", "Grad-CAM"} <= set(words(made))
    assert "edge of the true mask" in words(made)


def test_layers_that_the_network_lacks_are_said():
    figure = figures.load("5")
    spot = Spot(data="mini", model="mini-resnet", protocol="single")
    with pytest.raises(ValueError, match=r"none of its layers .* mini-resnet has layer4, layer3"):
        drawings.draw(figure, Sources(None, spot=spot), Choice(count=1))
    cells = {**dict(list(figure.cells.items())[:1]), (0, 1): figures.Cell("gradcam", ("layer3",))}
    mixed = Figure("x", "X", "here", figure.task, "maps", 1, ("",), ("a", "b"), cells)
    made = drawings.draw(mixed, Sources(None, spot=spot), Choice(count=1))
    assert made.notes == ("layercam S1 gamma=2 is left out: mini-resnet has no such layer",)
    assert "a" not in words(made)
    assert "b" in words(made)


def test_another_network_s_classes_are_refused(boxes):
    spot = Spot(data="mini", model="efficientnet-lite0")
    with pytest.raises(ValueError, match=r"tells 1000 classes apart, but .* has 10; choose"):
        drawings.draw(boxes, Sources(None, spot=spot))


def test_one_image_with_several_rows_stands_in_the_heading():
    spot = Spot(data="mini", protocol="single")
    alone = drawings.draw("1", Sources(None, spot=spot))
    several = drawings.draw("1", Sources(None, spot=spot), Choice(count=2))
    assert "image" not in words(alone)
    assert "image" in words(several)
    (axes,), (more,) = alone.picture.axes, several.picture.axes
    assert len(axes.images) == 1 + 4 + 1
    assert len(more.images) == 2 * (1 + 4) + 1
    assert words(several).count("Grad-CAM") == 2


@pytest.mark.parametrize("kind", ["gradcam", "gradcampp"])
def test_the_numbers_of_figure_4(kind):
    """Its quantiles and shares against all variances taken together."""
    import torch

    from camx.camcore import variances
    from camx.camcore.taps import tap
    from camx.camcore.views import squash

    spot = Spot(data="mini", protocol="single")
    made = drawings.draw("4", Sources(None, spot=spot), Choice(count=3, seed=1))
    lines = list(csv.DictReader(io.StringIO(made.numbers)))
    assert len(lines) == 2 * 2 * 5
    source = Sources(None, spot=spot).of(figures.load("4"))
    network, values = source.network, []
    for sample in sources.pick(source, Choice(count=3, seed=1), 0):
        pixels = torch.from_numpy(squash(Image.open(sample.path).convert("RGB"), 112))[None]
        target = torch.tensor([sample.label])
        shown = tap(network.module, network.prepare(pixels), target, [network.layers["S5"]], "next")
        pair = variances.spread(variances.WEIGHTS[kind](shown["S5"]))
        values.append(torch.stack(pair)[:, 0].numpy())
    variance, square = np.concatenate(values, 1)
    label = {"gradcam": "the gradient g", "gradcampp": "alpha ReLU(g)"}[kind]
    here = [line for line in lines if line["stage"] == "S5" and line["weights"] == label]
    first, second = sorted(here, key=lambda line: line["measure"], reverse=True)
    assert int(first["n"]) == 3 * 64 == len(variance)
    assert float(first["zero"]) == pytest.approx((variance == 0).mean(), abs=1e-5)
    for line, kept in (
        (first, variance[variance > 0]),
        (second, variance[square > 0] / square[square > 0]),
    ):
        for quantile in (5, 25, 50, 75, 95):
            expected = np.percentile(kept, quantile)
            assert float(line[f"q{quantile}"]) == pytest.approx(expected, rel=1e-3)
    assert "(c) Feature maps drawn at random" in " ".join(words(made))


def test_figures_are_the_same_again(boxes, tmp_path):
    for folder in ("a", "b"):
        made = drawings.draw(boxes, Sources(None, spot=Spot(protocol="single")), Choice(count=1))
        drawings.write(made, tmp_path / folder)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["figure_boxes.pdf", "figure_boxes.png"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_run_of_defects_is_split_again_as_it_was(camx, tmp_path):
    """Its images' fingerprint holds the split, which the run's options tell."""
    words = "--split 30/10 --limit 2 --iterations 0 --method layercam --layer layer3 --no-summary"
    camx("defects", *words.split(), "--out", "run")
    run = records.load(tmp_path / "run")
    source = sources.of_run(run, tasks.load("defects"))
    assert source.dataset.fingerprint == run.fingerprint
    assert sum(sample.split == "test" for sample in source.dataset.samples) == 10


@pytest.mark.parametrize("option", ["model", "data"])
def test_code_that_a_run_json_names_is_not_run(run, tmp_path, option):
    (tmp_path / "evil.py").write_text("raise SystemExit('this was run')\n")
    described = run / "run.json"
    content = json.loads(described.read_text())
    for call in (content, *content["invocations"]):
        call["options"][option] = str(tmp_path / "evil.py")
    described.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"run\.json: its {option} is code, .*evil\.py, which is"):
        sources.of_run(records.load(run), tasks.load("localize"))
