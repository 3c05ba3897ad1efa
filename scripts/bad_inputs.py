"""Damaged files wherever camx reads one: a line that names the file, or the right answer.

    python scripts/bad_inputs.py                    every content at every place, and the figures
    python scripts/bad_inputs.py --place weights    only where a file's name or command has it

To extend it, add a line to `CONTENTS` (what a file may hold) or to `PLACES` (where one is read):
every content is tried at every place. Nothing may end in a traceback, or in an error that does not
name the file; what is accepted is so for a reason, listed in `FINE`.
"""

import argparse
import contextlib
import fnmatch
import io
import os
import re
import shutil
import signal
import struct
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.io
import torch  # noqa: F401  # now, so that no first command is interrupted at it
from PIL import Image

from camx.camcore.image_files import PICTURES
from camx.cli import main
from camx.evaluators import datasets, voc_masks
from camx.evaluators.miniature import ilsvrc, voc

sys.path.insert(0, str(Path(__file__).parent))  # nobody else has, where this file is imported
import tiny_data

SECONDS = 120  # a command that takes longer waits for a pipe


def bomb() -> bytes:
    """A PNG of a few bytes that says it has 3,600,000,000 pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


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
    "digits": b"1 " + b"9" * 5000 + b"\n",
    "deep": b"[" * 3000,
    "anchor": b"a: &a [*a, *a]\n",
    "tag": b"!!python/object/apply:os.system ['touch executed']\n",
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
    "archive": b"PK\x03\x04" + bytes(64),
    "parquet": b"PAR1" + bytes(64) + b"PAR1",
    "bomb": bomb(),
    "folder": None,
    "pipe": None,
    "missing": None,
}  # fmt: skip

LEARN = "train voc --data {folder} --init none --epochs 1 --model mini-vgg-voc"
QUICK = "--limit 1 --layer S5 --method layercam --set view=resize --set grabcut=[]"
SCORE = "score {folder}/maps --quiet --no-summary --measure rank --data {folder}/set"
DEFECTS = (
    "defects --data {folder} --model mini-defects --weights {weights} --layer layer4 "
    "--method layercam --iterations 0 --quiet --no-summary"
)

# The command, the file that is damaged below the folder `kit`, and what is copied there first.
PLACES = [
    ("localize --config {file} QUICK", "options.yaml", ""),
    ("localize --protocol {file} QUICK", "protocol.yaml", ""),
    ("localize --limit 1 --protocol single --table {file}", "table.yaml", ""),
    ("tables --runs {folder} --table {file}", "table.yaml", "run"),
    ("claims --runs {folder} --file {file}", "claims.yaml", "run"),
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
    (LEARN, "VOC2012/ImageSets/Segmentation/train_aug.txt", "voc"),
    (LEARN, "VOC2012/classes.txt", "voc"),
    (LEARN, "VOC2012/Annotations/{val}.xml", "voc"),
    (
        "segment evaluate --data {folder} --masks {folder}/VOC2012/SegmentationClass",
        "VOC2012/SegmentationClass/{val}.png", "voc",
    ),
    ("tables --runs {folder} --table I", "run/run.json", "run"),
    ("tables --runs {folder} --table I", "run/records/part-1.parquet", "run"),
    ("tables --runs {folder} --table I", "entered.csv", "run"),
    ("claims --runs {folder}", "run/run.json", "run"),
    ("rank --runs {folder} --draws 100", "run/run.json", "run"),
    ("localize QUICK --out {folder}/run", "run/run.json", "run"),
    ("localize QUICK --out {folder}/run", "run/records/part-1.parquet", "run"),
    ("segment train --labels {folder}/labels --iterations 1", "labels/labels.json", "labels"),
    ("segment train --labels {folder}/labels --iterations 1", "labels/{scene}.png", "labels"),
    (
        "segment evaluate --split train_aug --masks {folder}/labels --limit 2",
        "labels/{scene}.png", "labels",
    ),
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
    ("localize --measure {file} QUICK", "measure.py", ""),
    (f"{SCORE}/boxes.csv", "set/boxes.csv", "boxes_csv"),
    (f"{SCORE}/boxes.csv", "set/classes.txt", "boxes_csv"),
    (f"{SCORE}/boxes.csv", "maps/first.npy", "boxes_csv"),
    (f"{SCORE}/boxes.csv --split val", "maps/second.png", "boxes_csv"),
    (
        f"{SCORE}/boxes.csv --split test --threshold-split val --measure maxboxacc",
        "set/second.png", "boxes_csv",
    ),
    (SCORE, "set/Annotations/first.xml", "voc_boxes"),
    (SCORE, "set/ImageSets/Main/val.txt", "voc_boxes"),
    (SCORE, "set/classes.txt", "voc_boxes"),
    (SCORE, "set/labels/val/first.txt", "yolo"),
    (SCORE, "set/data.yaml", "yolo"),
    (SCORE, "set/val.txt", "yolo"),
    (SCORE, "set/labels/classes.txt", "yolo_folders"),
    (SCORE, "set/annotations/instances_val2017.json", "coco"),
    (SCORE, "set/images.txt", "cub"),
    (SCORE, "set/image_class_labels.txt", "cub"),
    (SCORE, "set/classes.txt", "cub"),
    (SCORE, "set/train_test_split.txt", "cub"),
    (SCORE, "set/bounding_boxes.txt", "cub"),
    (SCORE, "set/segmentations/001.Bird_0/Bird_0.png", "cub"),
    (SCORE, "set/metadata/mine/test/image_ids.txt", "wsol"),
    (SCORE, "set/metadata/mine/test/class_labels.txt", "wsol"),
    (SCORE, "set/metadata/mine/test/localization.txt", "wsol"),
    (SCORE, "set/metadata/mine/test/image_sizes.txt", "wsol"),
    (SCORE, "set/metadata/OpenImages/test/localization.txt", "openimages"),
    (SCORE, "set/dataset/OpenImages/test/01226z/7a_m01226z_65.png", "openimages"),
    (SCORE, "set/dataset/OpenImages/test/01226z/7a_ignore.png", "openimages"),
    (SCORE, "set/ImageNetS_categories_im10.txt", "imagenet_s"),
    (SCORE, "set/validation-segmentation/n00000000/n00000000_1.png", "imagenet_s"),
    (SCORE, "set/ANNOTATIONS/crazing_1.xml", "neu_det"),
    (SCORE, "set/Grade.csv", "glas"),
    (SCORE, "set/testA_1_anno.bmp", "glas"),
    (DEFECTS, "ground_truth/hole/000_mask.png", "mvtec"),
    (DEFECTS, "split_csv/2cls_highshot.csv", "visa"),
    (DEFECTS, "candle/Data/Masks/Anomaly/001.png", "visa"),
    (DEFECTS, "kos00/Part0_label.bmp", "kolektor"),
    (DEFECTS, "test/20000_GT.png", "kolektor2"),
    (DEFECTS, "test/masks/flaw.png", "good_bad"),
]  # fmt: skip

NONSENSE = re.compile(
    "Traceback|(Type|Key|Attribute|Index)Error|UnboundLocal|NoneType|object has no"
)
# What is accepted, and why: a command's and a file's pattern, and contents.
FINE = [
    ("*--config*", "options.yaml", "empty mark null"),  # no option is given
    ("*--blacklist*", "blacklist.txt", "empty blank mark number"),  # no image, or the third
    ("localize --data*", "*.JPEG", "missing"),  # one of two images is left
    ("tables*", "entered.csv", "missing"),  # no number was entered
    ("train voc*", "VOC2012/ImageSets/*.txt", "missing"),  # train_aug is then train
    ("train voc*", "VOC2012/Annotations/*.xml", "missing"),  # the mask says what is there
    ("*", "run/records/part-1.parquet", "missing"),  # the run has another part
    ("segment train*", "labels/*", "missing"),  # another label is there; nothing is said of them
    ("segment train*", "labels/labels.json", "json"),  # another program's, of other keys
    ("claims*", "run/run.json", "missing"),  # no claim is measured
    ("score*boxes.csv", "set/classes.txt", "missing"),  # labels' sorted names are the classes
    ("score*", "set/labels/val/*", "empty blank mark missing"),  # an image of the background
    # Any line names a class, and two are enough.
    ("score*", "set/labels/classes.txt", "list date csv semicolons commas python pointer"),
]
# What an error may say of a missing file instead of its name, of which a layout leaves a part open.
PATTERNS = {
    "instances_val2017": "instances_<split>",
    "ImageNetS_categories_im10": "ImageNetS_categories_im<N>",
}


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def camx(words: Sequence[str], folder: Path) -> Done:
    """Run ``camx WORDS`` in a folder, in this process: torch is imported once."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    before, path, argv = Path.cwd(), list(sys.path), sys.argv
    signal.alarm(SECONDS)
    try:
        os.chdir(folder)
        sys.argv = ["camx", *words]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main.main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        signal.alarm(0)
        sys.path[:], sys.argv = path, argv
        os.chdir(before)
    return Done(code, out.getvalue(), err.getvalue())


def waited(*_signal: object) -> None:
    raise TimeoutError("waited for ever")


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


def bases(root: Path) -> dict[str, str]:
    """Make the folders that damaged files are put into; gives the names that places speak of."""
    (root / "none").mkdir(parents=True)
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
    scenes = datasets.load("mini", "segmentation").samples[:2]
    for scene in scenes:
        label = voc_masks.read_mask(scene.mask, 10)  # any of the image's size
        voc_masks.write_mask(root / f"labels/labels/{scene.image_id}.png", label % 2)
    (root / "lists").mkdir()
    for split in ("train", "test"):
        (root / f"lists/{split}.txt").write_text("Class1/Train/0001\n")
    recorded = camx(["localize", *QUICK.split(), "--out", "run/run"], root)
    assert recorded.code == 0, recorded.err
    val = datasets.load(str(root / "voc"), "segmentation", "val").samples
    for write in tiny_data.DEFECTS:
        write(root / write.__name__)
    for write in tiny_data.LOCALIZATION:
        place = root / write.__name__
        write(place / "set")
        images = sorted({path.stem for path in place.rglob("*") if path.suffix.lower() in PICTURES})
        tiny_data.maps(place / "maps", images)
    return {
        "weights": str(resources.files("camx.configs") / "weights/mini-defects.safetensors"),
        "xml": f"ILSVRC/Annotations/CLS-LOC/val/{samples[0].image_id}.xml",
        "image": f"ILSVRC/Data/CLS-LOC/val/{samples[0].path.name}",
        "scene": scenes[0].image_id,
        "val": val[0].image_id,
    }


def damage(path: Path, content: str) -> None:
    """Put a content in a file's place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    text = CONTENTS[content]
    if text is not None:
        path.write_bytes(text)
    elif content == "folder":
        path.mkdir()
    elif content == "pipe":
        os.mkfifo(path)


def fault(done: Done, words: str, where: str, content: str) -> str:
    """What is wrong with how a command took a damaged file; empty if nothing is."""
    match = fnmatch.fnmatch
    fine = any(match(words, w) and match(where, f) and content in c.split() for w, f, c in FINE)
    said = [line for line in done.err.splitlines() if not line.startswith("warning: ")]
    if fine:
        return "" if done.code == 0 else f"refused though it is fine: {said}"
    if done.code not in (1, 2) or len(said) != 1 or not said[0].startswith("error: "):
        return f"exit code {done.code}, {done.err[-300:]!r}"
    stem = Path(where).stem
    names = (stem, PATTERNS.get(stem, stem) if content == "missing" else stem)
    if NONSENSE.search(said[0]) or not any(name in said[0] for name in names):
        return said[0][:300]
    return ""


def tried(
    root: Path, names: dict[str, str], number: int, contents: Sequence[str]
) -> Iterator[tuple[str, Done, str]]:
    """Each content at one place: what it is, how the command ended, what is wrong with that."""
    words, where, base = PLACES[number]
    where = where.format(**names)
    signal.signal(signal.SIGALRM, waited)
    for content in contents:
        with tempfile.TemporaryDirectory(dir=root) as work:
            folder = Path(work) / "kit"
            shutil.copytree(root / (base or "none"), folder)
            damage(folder / where, content)
            line = words.replace("QUICK", QUICK).format(file=folder / where, folder=folder, **names)
            done = camx(line.split(), Path(work))
            yield content, done, fault(done, words, where, content)


def sweep() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--place", default="", help="only commands and files with this word")
    asked = parser.parse_args()
    counts = {"accepted": 0, "refused": 0, "faults": 0}
    with tempfile.TemporaryDirectory() as work:
        names = bases(Path(work))
        for number, (words, where, _) in enumerate(PLACES):
            if asked.place not in f"{words} {where}":
                continue
            for content, done, wrong in tried(Path(work), names, number, list(CONTENTS)):
                counts["faults" if wrong else "refused" if done.code else "accepted"] += 1
                if wrong:
                    print(f"camx {words} [{where.format(**names)}] {content}: {wrong}", flush=True)
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    return bool(counts["faults"])


if __name__ == "__main__":
    sys.exit(sweep())
