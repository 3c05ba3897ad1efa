"""Damaged files, everywhere camx reads one: a line that names the file, or the right answer.

To extend it, add a line to `CONTENTS` (what a file may hold) or to `PLACES` (where one is read):
every content is tried at every place. Nothing may end in a traceback or in an error of a type that
says nothing to a user; what is accepted must be so for a reason, listed in `FINE`.
"""

import fnmatch
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch  # noqa: F401  # once, before anything is timed
from PIL import Image

from camx.evaluators import datasets, voc_masks

CONTENTS = {
    "empty": b"",
    "blank": b" \n\t\n",
    "binary": bytes(range(256)) * 4,
    "zeros": bytes(1024),
    "latin-1": "caf\u00e9 = \u00fcber\n".encode("latin-1"),
    "utf-16": "a: b\n".encode("utf-16"),
    "mark": b"\xef\xbb\xbf",
    "word": b"nonsense\n",
    "number": b"3\n",
    "null": b"null\n",
    "infinite": b"inf,nan,-inf,1e999\n",
    "list": b"- 1\n- [a, {b: 2}]\n",
    "mapping": b"a: {b: [c, null]}\n",
    "date": b"a: 2020-01-01\n2020-01-01: a\n",
    "json": b'{"command": 3, "invocations": [1], "data": null, "dataset": []}',
    "csv": b"image,defective\na.png,1,2,3\n",
    "semicolons": b"image;defective;mask;split\na.png;1;;test\n",
    "commas": b"image,defective,mask,split,\na.png,1,,test,\n",
    "page": b"<!DOCTYPE html><html><body>404</body></html>",
    "xml": b"<annotation><object><name>?</name></object></annotation>",
    "python": b"import sys\nsys.exit(0)\n",
    "syntax": b"def (:\n",
    "long": b"x" * 100_000,
    "large": b"9" * 5000 + b"\n",
    "deep": b"[" * 3000,
    "anchor": b"a: &a [*a, *a]\n",
    "tag": b"!!python/object/apply:os.system ['touch executed']\n",
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
    "archive": b"PK\x03\x04" + bytes(64),
    "parquet": b"PAR1" + bytes(64) + b"PAR1",
    "folder": None,
    "pipe": None,
    "missing": None,
}  # fmt: skip

QUICK = "--limit 1 --layer S5 --method layercam --set view=resize --set grabcut=[]"

# The command, the file that is damaged below the folder `data`, and what is copied there first.
PLACES = [
    ("localize --config {file} QUICK", "options.yaml", ""),
    ("localize --protocol {file} QUICK", "protocol.yaml", ""),
    ("localize --limit 1 --protocol single --table {file}", "table.yaml", ""),
    ("tables --table {file}", "table.yaml", "run"),
    ("claims --file {file}", "claims.yaml", "run"),
    ("localize --blacklist {file} QUICK", "blacklist.txt", ""),
    ("localize --data {file} QUICK", "reader.py", ""),
    ("localize --model {file} QUICK", "network.py", ""),
    ("localize --method {file} --limit 1 --layer S5 --protocol single", "method.py", ""),
    ("measure {file}", "task.py", ""),
    ("localize --weights {file} QUICK", "weights.pth", ""),
    ("localize --weights {file} QUICK", "weights.safetensors", ""),
    ("localize --weights {file} QUICK", "weights.pth.tar", ""),
    ("localize --weights {file} QUICK", "weights", ""),
    ("train defects --init {file}", "weights.pth", ""),
    ("explain --model mini-vgg {file}", "photo.jpg", ""),
    ("defects --data {file} --weights x.pth", "pictures.csv", ""),
    ("train defects --data {file} --init none", "pictures.csv", ""),
    ("localize --data {folder} --model mini-vgg QUICK", "val_box.mat", "devkit"),
    ("localize --data {folder} --model mini-vgg QUICK", "val_list.txt", "devkit"),
    ("localize --data {folder} --model mini-vgg QUICK", "LOC_val_solution.csv", "solution"),
    ("localize --data {folder} --model mini-vgg QUICK", "LOC_synset_mapping.txt", "ilsvrc"),
    ("localize --data {folder} --model mini-vgg QUICK", "{xml}", "ilsvrc"),
    ("localize --data {folder} --model mini-vgg QUICK", "{image}", "ilsvrc"),
    ("train defects --data {folder} --init none", "Class1_def/labels.txt", "mirror"),
    ("pseudo --data {folder} --weights x.pth", "ImageSets/Segmentation/train_aug.txt", "voc"),
    ("pseudo --data {folder} --weights x.pth", "classes.txt", "voc"),
    ("pseudo --data {folder} --split val --weights x.pth", "Annotations/{val}.xml", "voc"),
    (
        "segment evaluate --data {folder} --masks {folder}/SegmentationClass",
        "SegmentationClass/{val}.png", "voc",
    ),
    ("tables --table I", "run/run.json", "run"),
    ("tables --table I", "run/records/part-1.parquet", "run"),
    ("tables --table I", "entered.csv", "run"),
    ("claims", "run/run.json", "run"),
    ("localize QUICK --out {folder}/run", "run/run.json", "run"),
    ("localize QUICK --out {folder}/run", "run/records/part-1.parquet", "run"),
    ("segment train --labels {folder}/labels --iterations 1", "labels/labels.json", "labels"),
    ("segment train --labels {folder}/labels --iterations 1", "labels/{scene}.png", "labels"),
    ("segment evaluate --masks {folder}/labels --limit 2", "labels/{scene}.png", "labels"),
    (
        "pseudo --limit 1 --superpixels {folder}/labels --layer S5 --method layercam",
        "labels/{scene}.npy", "",
    ),
    (
        "pseudo --limit 1 --superpixels {folder}/labels --layer S5 --method layercam",
        "labels/{scene}.mat", "",
    ),
    (
        "pseudo --limit 1 --superpixels {folder}/labels --layer S5 --method layercam",
        "labels/{scene}.png", "",
    ),
    (
        "pseudo --limit 1 --export dgcn-cues --layer S5 --method layercam --input-list {file}",
        "input_list.txt", "",
    ),
    (
        "train defects --split {folder} --init none --epochs 1 --model mini-defects",
        "train.txt", "lists",
    ),
]  # fmt: skip

NONSENSE = re.compile(
    "Traceback|(Type|Key|Attribute|Index)Error|UnboundLocal|NoneType|object has no"
)

# What is accepted, and why: (file, contents).
FINE: list[tuple[str, str]] = []


def val_box(boxes):
    """`rec` of the devkit's val_box.mat for a list of boxes an image."""
    dtype = [("objects", object)]
    images = np.zeros((1, len(boxes)), dtype)
    for place, of_image in enumerate(boxes):
        objects = np.zeros((1, len(of_image)), [("bbox", object)])
        for i, box in enumerate(of_image):
            objects[0, i]["bbox"] = np.array([box], float)
        images[0, place]["objects"] = objects
    return {"rec": images}


@pytest.fixture(scope="session")
def bases(tmp_path_factory, camx_home):
    """The folders that a damaged file is put into, by name."""
    from camx.evaluators.miniature import ilsvrc, voc

    os.environ["CAMX_HOME"] = str(camx_home)
    root = tmp_path_factory.mktemp("bases")
    (root / "none").mkdir()
    ilsvrc.write(root / "ilsvrc", images=2)
    samples = datasets.load(str(root / "ilsvrc")).samples
    for name in ("devkit", "solution"):
        shutil.copytree(root / "ilsvrc/ILSVRC/Data/CLS-LOC/val", root / name / "val")
        shutil.copy(root / "ilsvrc/LOC_synset_mapping.txt", root / name)
    shutil.copy(root / "ilsvrc/LOC_val_solution.csv", root / "solution")
    scipy.io.savemat(root / "devkit/val_box.mat", val_box([s.boxes for s in samples]))
    lines = [f"{s.path.name} {s.label}\n" for s in samples]
    (root / "devkit/val_list.txt").write_text("".join(lines))
    for folder in ("Class1", "Class1_def"):
        (root / "mirror" / folder).mkdir(parents=True)
        for number in (1, 2):
            Image.new("L", (20, 20), 40 * number).save(root / f"mirror/{folder}/{number}.png")
    ellipses = "".join(f"{n} 3 2 0.5 9 9\n" for n in (1, 2))
    (root / "mirror/Class1_def/labels.txt").write_text(ellipses)
    voc.write(root / "voc", 2, 2)
    for scene in datasets.load("mini", "segmentation").samples[:2]:
        voc_masks.write_mask(root / f"labels/labels/{scene.image_id}.png", np.eye(9, dtype="uint8"))
    (root / "lists").mkdir()
    for split in ("train", "test"):
        (root / f"lists/{split}.txt").write_text("Class1/Train/0001\n")
    line = ["localize", *QUICK.split(), "--out", root / "run/run"]
    camx = [sys.executable, "-m", "camx"]
    subprocess.run([*camx, *line], check=True, capture_output=True, cwd=root)
    return root


@pytest.fixture(scope="session")
def names(bases):
    """The names of files that places speak of."""
    first = datasets.load(str(bases / "ilsvrc")).samples[0]
    return {
        "xml": f"ILSVRC/Annotations/CLS-LOC/val/{first.image_id}.xml",
        "image": f"ILSVRC/Data/CLS-LOC/val/{first.path.name}",
        "scene": next((bases / "labels/labels").glob("*.png")).stem,
        "val": datasets.load(str(bases / "voc"), "segmentation", "val").samples[0].image_id,
    }


def damaged(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if CONTENTS[content] is not None:
        path.write_bytes(CONTENTS[content])
    elif content == "folder":
        path.mkdir()
    elif content == "pipe":
        os.mkfifo(path)


@pytest.fixture(autouse=True)
def _no_waiting():
    def stop(*_):
        raise TimeoutError("waited for ever")

    before = signal.signal(signal.SIGALRM, stop)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES, ids=lambda p: f"{p[0].split()[0]}-{p[1]}-{p[2]}")
def test_a_damaged_file(place, bases, names, camx_anyhow, tmp_path):
    words, where, base = place
    where = where.format(**names)
    faults = []
    for content in CONTENTS:
        folder = tmp_path / f"data-{content}"
        shutil.copytree(bases / (base or "none"), folder)
        path = folder / where
        damaged(path, content)
        line = words.format(file=path, folder=folder, **names)
        line = line.replace("QUICK", QUICK)
        signal.alarm(60)  # a pipe that is opened waits for ever
        done = camx_anyhow(
            *line.split(), *(["--runs", folder] if words in ("tables --table I", "claims") else [])
        )
        signal.alarm(0)
        if any(fnmatch.fnmatch(where, f) and content in c.split() for f, c in FINE):
            assert done.code == 0, (content, done.err)
            continue
        said = [x for x in done.err.splitlines() if not x.startswith("warning: ")]
        if done.code not in (1, 2) or len(said) != 1 or not said[0].startswith("error: "):
            faults.append(f"{content}: {done.code} {done.err[-300:]!r}")
        elif NONSENSE.search(said[0]) or Path(where).stem not in said[0]:
            faults.append(f"{content}: {said[0][:300]}")
        shutil.rmtree(folder)
    assert not faults, "\n".join([f"camx {words} [{where}]", *faults])
