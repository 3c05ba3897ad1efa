"""An image that cannot be measured stops the run, naming it, or is skipped and listed."""

import json
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from camx.camcore import views, weights
from camx.camcore.image_files import read_image
from camx.evaluators import datasets, records
from camx.evaluators.miniature import dagm as textures
from camx.evaluators.miniature import ilsvrc as drawn

NAMED = "--on-error skip leaves such images out"
SHIPPED = Path(weights.__file__).parents[1] / "configs/weights"
WEIGHTS, DEFECTS = (SHIPPED / f"mini-{name}.safetensors" for name in ("vgg", "defects"))


@pytest.fixture
def small(tmp_path):
    drawn.write(tmp_path / "small", images=6)
    return tmp_path / "small"


def brightest(samples, side):
    """The brightest of some samples as a network of mean 0.5 and deviation 0.25 sees it, and a
    brightness between its and the next one's.
    """
    seen = {}
    for sample in samples:
        pixels = views.squash(read_image(sample.path), side)
        seen[sample] = (pixels.mean() / 255 - 0.5) / 0.25
    second, first = sorted(seen, key=seen.get)[-2:]
    return first, (seen[first] + seen[second]) / 2


def plug_in(path, limit, when="images[tap.origin].flatten(1).mean(1)"):
    """A method that is LayerCAM, but holds one NaN where an image is brighter than a limit."""
    text = f"""
    from camx.camcore.methods.layercam import cam as layercam

    def cam(tap):
        maps, images = layercam(tap), tap.images
        maps[{when} > {limit}, 0, 0] = float("nan")
        return maps
    """
    path.write_text(textwrap.dedent(text))


def network(path, limit):
    """The miniature's VGG, whose logits overflow where an image is brighter than a limit."""
    text = f"""
    import dataclasses
    import torch
    from camx.camcore.models import mini_vgg

    def spoil(_module, inputs, logits):
        bright = inputs[0].flatten(1).mean(1, keepdim=True) > {limit}
        return logits + torch.where(bright, float("inf"), 0.0)

    def build(classes=10, batch_norm=False):
        module = mini_vgg.build(classes, batch_norm)
        module.register_forward_hook(spoil)
        return module

    SPEC = dataclasses.replace(mini_vgg.SPEC, build=build)
    """
    path.write_text(textwrap.dedent(text))


def skipped(out):
    return pd.read_csv(out / "skipped.csv", keep_default_na=False).to_dict("records")


QUICK = ["--protocol", "single", "--layer", "S5", "--layer", "S4", "--batch-size", 4]


def test_a_map_that_is_no_number(camx, small, tmp_path):
    samples = datasets.load(str(small), "localization").samples
    bad, limit = brightest(samples, 112)
    plug_in(tmp_path / "nanny.py", limit)
    run = ["localize", "--data", small, "--model", "mini-vgg", *QUICK, "--method", "nanny.py"]
    run += ["--method", "layercam"]
    told = camx(*run, code=1).stderr
    assert f"error: image {bad.image_id} ({bad.path}): method nanny at layer S5: the map" in told
    assert f"holds NaN; {NAMED}" in told
    done = camx(*run, "--on-error", "skip", "--out", "skip")
    assert "skipped 1 of 6 images: skip/skipped.csv says why" in done.stderr
    row = {"image_id": bad.image_id, "path": str(bad.path), "method": "nanny", "layer": "S5"}
    row["error"] = "method nanny at layer S5: the map holds NaN"
    assert skipped(tmp_path / "skip") == [row]
    assert json.loads((tmp_path / "skip/run.json").read_text())["counts"] == {
        "images": 6, "records_written": 20, "skipped": 1,
    }  # fmt: skip
    # All cells on the same images; those of the others are what they are without it, bit for bit.
    frame = records.read(tmp_path / "skip")
    assert frame.groupby(records.CELL).size().tolist() == [5] * 7  # the null rows' too
    camx(*run[:-4], "--method", "layercam", "--out", "sound")
    sound = records.read(tmp_path / "sound")
    sound = sound[(sound["image_id"] != bad.image_id) & (sound["layer"] != "")]
    sound = sound.reset_index(drop=True)
    for method in ("layercam", "nanny"):
        mine = frame[frame["method"] == method].reset_index(drop=True)
        assert mine.equals(sound.assign(method=method))
    # It is tried again; what was asked for and could be measured leaves the list.
    again = camx(*run, "--on-error", "skip", "--out", "skip")
    assert "5 of 6 images done before" in again.stdout
    assert len(records.read(tmp_path / "skip")) == 5 * 7
    assert len(skipped(tmp_path / "skip")) == 1
    camx(*run, "--limit", 1, "--out", "skip", code=int(samples[0] == bad))
    assert len(skipped(tmp_path / "skip")) == 1
    camx(*run[:-4], "--method", "layercam", "--out", "skip")
    assert not (tmp_path / "skip/skipped.csv").exists()


@pytest.mark.parametrize("command", ["localize", "occlude", "defects", "pseudo", "measure"])
def test_every_measuring_command_offers_it(camx, command):
    arguments = [command, "localize"] if command == "measure" else [command]
    assert "--on-error [stop|skip]" in camx(*arguments, "--help").stdout
    assert "'ignore' is not one of" in camx(*arguments, "--on-error", "ignore", code=2).stderr


def test_logits_that_overflow(camx, small, tmp_path):
    """Neither a rank nor a hit, whatever the command: they printed top-1 100 % and 25 %."""
    samples = datasets.load(str(small), "localization").samples
    bad, limit = brightest(samples, 112)
    network(tmp_path / "spoilt.py", limit)
    told = f"image {bad.image_id} ({bad.path}): the logits of spoilt hold Inf; {NAMED}"
    common = ["--data", small, "--model", "spoilt.py", "--weights", WEIGHTS, *QUICK]
    common += ["--method", "layercam"]
    for run in (["localize"], ["occlude"], ["occlude", "--metric", "deletion", "--steps", 2]):
        out, kind = "-".join(run[:3:2]), "records-deletion" if "deletion" in run else "records"
        assert told in camx(run[0], *common, *run[1:], "--out", out, code=1).stderr
        earlier = records.read(tmp_path / out, kind=kind)  # of the batches before
        assert not len(earlier) or bad.image_id not in set(earlier["image_id"])
        camx(run[0], *common, *run[1:], "--out", f"{out}-skip", "--on-error", "skip")
        frame = records.read(tmp_path / f"{out}-skip", kind=kind)
        assert set(frame["image_id"]) == {s.image_id for s in samples if s != bad}
        assert [row["image_id"] for row in skipped(tmp_path / f"{out}-skip")] == [bad.image_id]
    assert f"{bad.path}: the logits of spoilt hold Inf" in camx(
        "explain", bad.path, "--model", "spoilt.py", "--weights", WEIGHTS, code=1
    ).stderr  # fmt: skip


def test_only_the_occluded_image_overflows(camx, small, tmp_path):
    """The network's second answer: the method that hides, the layer and the image are named."""
    samples = datasets.load(str(small), "localization").samples
    network(tmp_path / "spoilt.py", 0)
    text = (tmp_path / "spoilt.py").read_text()
    hidden = "(inputs[0] == 0).all(1).flatten(1).float().mean(1, keepdim=True) > 0.01"
    start = text.index("bright = ") + len("bright = ")
    (tmp_path / "spoilt.py").write_text(text[:start] + hidden + text[text.index("\n", start) :])
    run = ["occlude", "--data", small, "--model", "spoilt.py", "--weights", WEIGHTS, *QUICK]
    run += ["--method", "layercam"]
    told = camx(*run, code=1).stderr
    assert "method layercam at layer S5: the logits of spoilt for the occluded image hold" in told
    camx(*run, "--on-error", "skip", "--out", "skip")
    frame, rows = records.read(tmp_path / "skip"), skipped(tmp_path / "skip")
    # Those that are not recognised are not asked about again.
    assert (frame["rank_before"] != 1).all()
    assert {row["image_id"] for row in rows} | set(frame["image_id"]) == {
        sample.image_id for sample in samples
    }
    run += ["--metric", "deletion", "--steps", 2]
    told = camx(*run, "--out", "curve", code=1).stderr
    assert "the logits of spoilt for an image of its deletion curve hold Inf" in told
    camx(*run, "--on-error", "skip", "--out", "curve-skip")
    assert len(skipped(tmp_path / "curve-skip")) == len(rows)


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_an_image_that_cannot_be_read(camx, small, tmp_path, content):
    sample = datasets.load(str(small), "localization").samples[2]
    run = ["localize", "--data", small, "--model", "mini-vgg", *QUICK, "--method", "layercam"]
    camx(*run, "--out", "whole")
    whole = records.read(tmp_path / "whole")
    half = sample.path.read_bytes()[:500]
    sample.path.write_bytes(half if content is None else content)
    assert f"{sample.path}: not a readable image" in camx(*run, code=1).stderr
    done = camx(*run, "--on-error", "skip", "--out", "skip")
    assert "skipped 1 of 6 images" in done.stderr
    (row,) = skipped(tmp_path / "skip")
    assert row["image_id"] == sample.image_id
    assert row["error"].startswith(f"{sample.path}: not a readable image")
    rest = whole[whole["image_id"] != sample.image_id].reset_index(drop=True)
    assert records.read(tmp_path / "skip").equals(rest)


def test_nothing_could_be_measured(camx, small, tmp_path):
    network(tmp_path / "spoilt.py", -1000)
    run = ["localize", "--data", small, "--model", "spoilt.py", *QUICK, "--method", "layercam"]
    told = camx(*run, "--weights", WEIGHTS, "--on-error", "skip", "--out", "skip", code=1).stderr
    assert "skip/skipped.csv: none of 6 images could be measured; of mini_val_00000001:" in told
    assert len(skipped(tmp_path / "skip")) == 6


def test_a_list_of_skipped_images_that_is_none(camx, small, tmp_path):
    run = ["localize", "--data", small, "--model", "mini-vgg", *QUICK, "--limit", 1]
    (tmp_path / "out").mkdir()
    (tmp_path / "out/skipped.csv").write_text("a,b\n1,2\n")
    told = camx(*run, "--out", "out", code=1).stderr
    assert "out/skipped.csv: not a list of images that camx wrote" in told


def test_defects_and_their_masks(camx, tmp_path):
    """Timing and the sheet take the images that are left."""
    textures.write(tmp_path / "dagm", train=2, test=4)
    data = datasets.load(str(tmp_path / "dagm"), "defects")
    tests = [s for s in data.samples if s.split == "test" and s.label == 1]
    tests[0].path.write_bytes(b"no image")
    tests[1].mask.write_bytes(b"no mask")
    run = ["defects", "--data", tmp_path / "dagm", "--weights", DEFECTS, "--layer", "layer3"]
    run += ["--model", "mini-defects"]
    run += ["--method", "layercam", "--iterations", 1, "--batch-size", 2, "--sheet", "sheet.png"]
    assert "not a readable image" in camx(*run, code=1).stderr
    camx(*run, "--on-error", "skip", "--out", "skip")
    bad = {tests[0].image_id, tests[1].image_id}
    assert {row["image_id"] for row in skipped(tmp_path / "skip")} == bad
    frame = records.read(tmp_path / "skip")
    assert set(frame["image_id"]) == {s.image_id for s in tests} - bad
    assert (tmp_path / "sheet.png").is_file()
    assert set(pd.read_parquet(tmp_path / "skip/timing.parquet")["iteration"]) == {0}


def test_pseudo_labels(camx, tmp_path):
    """A skipped image has no label, rather than an empty one."""
    scenes = datasets.load("mini", "segmentation", "train_aug").samples[:6]
    bad, limit = brightest(scenes, 112)
    plug_in(tmp_path / "nanny.py", limit)
    run = ["pseudo", "--method", "nanny.py", "--layer", "S5", "--superpixels", "none"]
    run += ["--limit", 6, "--batch-size", 4]
    told = camx(*run, code=1).stderr
    assert f"image {bad.image_id} ({bad.path}): method nanny at layer S5: the map holds" in told
    (tmp_path / "list.txt").write_text(
        "".join(f"{s.image_id}.jpg {i}\n" for i, s in enumerate(scenes))
    )
    run += ["--export", "dgcn-cues", "--input-list", "list.txt"]
    done = camx(*run, "--on-error", "skip", "--out", "skip")
    assert "(5 of the list's 6 images)" in done.stdout
    names = {path.stem for path in (tmp_path / "skip/labels/nanny_S5").glob("*.png")}
    assert names == {s.image_id for s in scenes if s != bad}
    assert set(records.read(tmp_path / "skip")["image_id"]) == names
    assert [row["image_id"] for row in skipped(tmp_path / "skip")] == [bad.image_id]


def test_masks_that_are_missing(camx, tmp_path):
    scenes = datasets.load("mini", "segmentation", "val").samples[:3]
    (tmp_path / "masks").mkdir()
    for scene in scenes[:2]:
        mask = np.asarray(Image.open(scene.mask))
        Image.fromarray(mask).save(tmp_path / f"masks/{scene.image_id}.png")
    run = ["segment", "evaluate", "--masks", "masks", "--limit", 3]
    assert "every image needs a mask" in camx(*run, code=1).stderr
    camx(*run, "--on-error", "skip", "--out", "skip")
    assert [row["image_id"] for row in skipped(tmp_path / "skip")] == [scenes[2].image_id]
    assert len(records.read(tmp_path / "skip")) == 2 * 2  # and the null rows
