"""`camx doctor`: each line good, a warning or bad, with the mend; code 1 if anything is bad."""

import shutil
from types import SimpleNamespace

import pytest
from PIL import Image

from camx.evaluators import doctor
from camx.evaluators.miniature import ilsvrc

RUN = ("localize", "--protocol", "single", "--limit", 4, "--method", "layercam", "--layer", "S5")


def levels(text, word):
    return {line.split()[0] for line in text.splitlines() if word in line}


def test_a_sound_machine_data_set_and_run(camx, tmp_path):
    camx(*RUN)
    told = camx("doctor", "--data", "mini", "--model", "mini-vgg", "--run", "results").stdout
    assert {line.split()[0] for line in told.splitlines()} <= {doctor.GOOD, doctor.WARNING}
    assert "mini, for localization: 400 val; 10 classes" in told
    assert "64 pictures of mini, drawn at random, can be read" in told
    assert levels(told, "top-1 of 64 images of mini") == {doctor.GOOD}
    assert "16 records verified" in told  # and those of three nulls
    assert levels(told, "GB free; 400 images of 59 cells") <= {doctor.GOOD, doctor.WARNING}


def test_a_damaged_part_is_bad_and_mended(camx, tmp_path):
    camx(*RUN)
    path = next((tmp_path / "results/localize/records").glob("*.parquet"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    done = camx("doctor", "--run", "results", code=1)
    (line,) = [x for x in done.stdout.splitlines() if x.startswith(doctor.BAD)]
    assert path.name in line
    assert line.endswith("-> delete it; the same command measures it again")
    path.unlink()
    camx(*RUN)
    assert "records verified" in camx("doctor", "--run", "results").stdout


def test_a_part_of_another_run_is_bad(camx, tmp_path):
    camx(*RUN)
    camx(*RUN, "--set", "threshold=0.5", "--out", "results/other")
    path = next((tmp_path / "results/other/records").glob("*.parquet"))
    shutil.copy(path, tmp_path / "results/localize/records")
    told = camx("doctor", "--run", "results/localize", code=1).stdout
    assert "a part of another run lies among these" in told
    error = camx("tables", "--runs", "results/localize", code=1).stderr
    assert "a part of another run (other data, network or protocol)" in error


def test_weights_that_recognise_nothing_are_bad(camx, tmp_path):
    import torch

    from camx.camcore import networks
    from camx.evaluators import checkpoint

    module = networks.load("mini-vgg").module
    with torch.no_grad():
        last = [m for m in module.modules() if isinstance(m, torch.nn.Linear)][-1]
        last.weight.copy_(last.weight.roll(1, 0))  # classes in another order
    checkpoint.save_weights(tmp_path / "rolled.safetensors", module)
    words = ("--model", "mini-vgg", "--weights", "rolled.safetensors", "--data", "mini")
    told = camx("doctor", *words, code=1).stdout
    assert levels(told, "no more than chance (10.0 %)") == {doctor.BAD}
    told = camx("doctor", "--weights", "nothing.pth", code=1).stdout
    assert levels(told, "nothing.pth") == {doctor.BAD}


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda root: next(root.rglob("*.JPEG")).write_bytes(b"no picture"), "fetch it again"),
        (lambda root: next(root.rglob("*.xml")).write_text("<annot"), "docs/datasets.md says"),
        (lambda root: shutil.rmtree(root), "docs/datasets.md says what each holds"),
    ],
)
def test_a_data_set_that_lacks_something_is_bad(camx, tmp_path, spoil, word):
    ilsvrc.write(tmp_path / "data", images=4)
    spoil(tmp_path / "data")
    told = camx("doctor", "--data", tmp_path / "data", code=1).stdout
    (line,) = [x for x in told.splitlines() if x.startswith(doctor.BAD)]
    assert word in line


def test_a_part_of_ilsvrc_is_a_warning(camx, tmp_path):
    ilsvrc.write(tmp_path / "data", images=4)
    told = camx("doctor", "--data", tmp_path / "data").stdout
    assert levels(told, "4 of 50000 images of val") == {doctor.WARNING}


def test_images_by_class_are_for_occlude_alone(camx, tmp_path):
    for number, name in enumerate(("cat/1.png", "cat/2.png", "dog/3.png")):
        (tmp_path / "pets" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").rotate(90 * number).save(tmp_path / "pets" / name)
    told = camx("doctor", "--data", "pets").stdout
    what = "pets: 3 val; 2 classes; no boxes of 3 images: for occlude, not for localize -> boxes: a"
    assert levels(told, f"{what} FILE.csv of image,label,x0,y0,x1,y1") == {doctor.WARNING}
    assert levels(told, "pets, for classification: 3 train; 2 classes") == {doctor.GOOD}
    assert levels(told, "pets, for localization") == set()
    assert told.count("3 pictures of pets, drawn at random, can be read") == 1


def test_some_images_without_boxes(camx, tmp_path):
    Image.linear_gradient("L").save(tmp_path / "a.png")
    Image.linear_gradient("L").rotate(90).save(tmp_path / "b.png")
    (tmp_path / "boxes.csv").write_text("image,label,x0,y0,x1,y1\na.png,x,0,0,9,9\nb.png,x,,,,\n")
    told = camx("doctor", "--data", "boxes.csv").stdout
    assert levels(told, "no boxes of 1 images: for occlude, not for localize") == {doctor.WARNING}


def test_what_is_half_there_is_bad_and_told(camx, tmp_path):
    (tmp_path / "mine/annotations").mkdir(parents=True)
    told = camx("doctor", "--data", "mine", code=1).stdout
    (line,) = [x for x in told.splitlines() if x.startswith(doctor.BAD)]
    assert "no data set for localization that camx knows: expected annotations/instances_" in line


def test_a_disk_that_is_full_or_closed_is_bad(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=5e7))
    (finding,) = doctor.disk(tmp_path / "results")
    assert finding.level == doctor.BAD
    assert "0.1 GB free; 50000 images of 59 cells take 0.06" in finding.what
    (finding,) = doctor.disk(tmp_path / "results", images=10)
    assert finding.level == doctor.WARNING
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    (finding,) = doctor.disk(tmp_path / "results")
    assert (finding.level, finding.what) == (doctor.BAD, f"{tmp_path} cannot be written")
