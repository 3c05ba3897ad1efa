"""Data sets of two images or a few, one of every layout that camx reads, to be damaged.

Each is written into a folder, of ten classes where its layout leaves that open.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (32, 24)
CLASSES = tuple(f"c{number}" for number in range(10))
WNIDS = tuple(f"n0000000{number}" for number in range(10))
SPECIES = tuple(f"{number + 1:03d}.Bird_{number}" for number in range(10))
CORNERS = {"xmin": 5, "ymin": 5, "xmax": 20, "ymax": 16}


def text(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def picture(path: Path) -> None:
    """An image of noise, another for each name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(list(path.name.encode()))
    Image.fromarray(noise.integers(0, 255, (*SIZE[::-1], 3), np.uint8)).save(path)


def mask(path: Path, value: int | tuple[int, int, int] = 255, marked: bool = True) -> None:
    """A rectangle of a value, or of a colour; nothing of a good image."""
    pixels = np.zeros((*SIZE[::-1], *np.shape(value)), np.uint8)
    pixels[5:16, 5:20] = value if marked else 0
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def xml(path: Path, name: str) -> None:
    box = "".join(f"<{corner}>{value}</{corner}>" for corner, value in CORNERS.items())
    thing = f"<object><name>{name}</name><bndbox>{box}</bndbox></object>"
    text(path, f"<annotation><filename>{path.stem}</filename>{thing}</annotation>")


def boxes_csv(root: Path) -> None:
    lines = ["image,label,x0,y0,x1,y1,split"]
    for name, split in (("first", "test"), ("second", "val")):
        picture(root / f"{name}.png")
        lines.append(f"{name}.png,c1,5,5,20,16,{split}")
    text(root / "boxes.csv", *lines)
    text(root / "classes.txt", *CLASSES)


def voc_boxes(root: Path) -> None:
    for name in ("first", "second"):
        picture(root / f"JPEGImages/{name}.jpg")
        xml(root / f"Annotations/{name}.xml", "c1")
    text(root / "ImageSets/Main/val.txt", "first", "second")
    text(root / "classes.txt", *CLASSES)


def yolo(root: Path) -> None:
    for name in ("first", "second"):
        picture(root / f"images/val/{name}.jpg")
        text(root / f"labels/val/{name}.txt", "1 0.4 0.4 0.5 0.5")
    text(root / "data.yaml", "val: val.txt", f"names: [{', '.join(CLASSES)}]")
    text(root / "val.txt", "images/val/first.jpg", "images/val/second.jpg")


def yolo_folders(root: Path) -> None:
    yolo(root)
    for name in ("data.yaml", "val.txt"):
        (root / name).unlink()
    text(root / "labels/classes.txt", *CLASSES)


def coco(root: Path) -> None:
    width, height = SIZE
    images, annotations = [], []
    for number in (1, 2):
        name = f"{number:012d}.jpg"
        picture(root / f"val2017/{name}")
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        annotations.append(
            {"id": number, "image_id": number, "category_id": 2, "bbox": [5, 5, 15, 11],
             "segmentation": [[5, 5, 20, 5, 20, 16, 5, 16]], "iscrowd": 0, "area": 165}
        )  # fmt: skip
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    text(root / "annotations/instances_val2017.json", json.dumps(content))


def cub(root: Path) -> None:
    names = [f"{SPECIES[number]}/Bird_{number}.jpg" for number in (0, 1)]
    for name in names:
        picture(root / "images" / name)
        mask(root / "segmentations" / Path(name).with_suffix(".png"))
    lists = {
        "images": [f"1 {names[0]}", f"2 {names[1]}"],
        "image_class_labels": ["1 1", "2 2"],
        "classes": [f"{number} {name}" for number, name in enumerate(SPECIES, 1)],
        "train_test_split": ["1 0", "2 0"],
        "bounding_boxes": ["1 5.0 5.0 15.0 11.0", "2 5.0 5.0 15.0 11.0"],
    }
    for name, lines in lists.items():
        text(root / f"{name}.txt", *lines)


def wsol(root: Path) -> None:
    """A data set of boxes, of one's own; the last of its ten classes is on the second image."""
    place, names = root / "metadata/mine/test", ("a/1.jpg", "b/2.jpg")
    for name in names:
        picture(root / "dataset/mine" / name)
    text(place / "image_ids.txt", *names)
    text(place / "class_labels.txt", f"{names[0]},0", f"{names[1]},9")
    text(place / "image_sizes.txt", *(f"{name},{SIZE[0]},{SIZE[1]}" for name in names))
    text(place / "localization.txt", *(f"{name},5,5,20,16" for name in names))


def openimages(root: Path) -> None:
    place, images = root / "metadata/OpenImages/test", root / "dataset/OpenImages"
    picture(images / "test/01226z/7a.jpg")
    mask(images / "test/01226z/7a_m01226z_65.png")
    mask(images / "test/01226z/7a_ignore.png", marked=False)
    text(place / "image_ids.txt", "test/01226z/7a.jpg")
    text(place / "class_labels.txt", "test/01226z/7a.jpg,0")
    text(place / "image_sizes.txt")
    names = ("7a.jpg", "7a_m01226z_65.png", "7a_ignore.png")
    text(place / "localization.txt", ",".join(f"test/01226z/{name}" for name in names))


def imagenet_s(root: Path) -> None:
    for wnid in WNIDS[:2]:
        picture(root / f"validation/{wnid}/{wnid}_1.JPEG")
        number = WNIDS.index(wnid) + 1
        mask(root / f"validation-segmentation/{wnid}/{wnid}_1.png", (number, 0, 0))
    text(root / "ImageNetS_categories_im10.txt", *WNIDS)


def neu_det(root: Path) -> None:
    for name in ("crazing_1", "patches_2"):
        picture(root / f"IMAGES/{name}.jpg")
        xml(root / f"ANNOTATIONS/{name}.xml", name.partition("_")[0])


def glas(root: Path) -> None:
    for name in ("testA_1", "testB_1"):
        picture(root / f"{name}.bmp")
        mask(root / f"{name}_anno.bmp", 1)
    lines = ("testA_1,1,benign", "testB_1,2,malignant")
    text(root / "Grade.csv", "name,patient ID,grade (GlaS)", *lines)


def mvtec(root: Path) -> None:
    for name in ("train/good/000", "test/good/000", "test/hole/000", "test/hole/001"):
        picture(root / f"{name}.png")
    for name in ("000", "001"):
        mask(root / f"ground_truth/hole/{name}_mask.png")


def visa(root: Path) -> None:
    lines = ["object,split,label,image,mask"]
    for number, split in enumerate(("train", "test")):
        place = "candle/Data"
        good, bad = (f"{place}/Images/{kind}/00{number}.JPG" for kind in ("Normal", "Anomaly"))
        marked = f"{place}/Masks/Anomaly/00{number}.png"
        picture(root / good)
        picture(root / bad)
        mask(root / marked, 1)
        lines += [f"candle,{split},normal,{good},", f"candle,{split},anomaly,{bad},{marked}"]
    text(root / "split_csv/2cls_highshot.csv", *lines)


def kolektor(root: Path) -> None:
    for item in range(4):
        picture(root / f"kos0{item}/Part0.jpg")
        mask(root / f"kos0{item}/Part0_label.bmp", marked=item < 2)


def kolektor2(root: Path) -> None:
    for split, first in (("train", 10000), ("test", 20000)):
        for number in (first, first + 1):
            picture(root / f"{split}/{number}.png")
            mask(root / f"{split}/{number}_GT.png", marked=number == first)


def good_bad(root: Path) -> None:
    for split in ("train", "test"):
        for name in ("good/sound", "bad/flaw"):
            picture(root / f"{split}/{name}.png")
        mask(root / f"{split}/masks/flaw.png")


def maps(root: Path, names: Sequence[str]) -> None:
    """Images' maps, one an array, the others PNGs."""
    values = np.linspace(0, 1, 224 * 224).reshape(224, 224)
    root.mkdir(parents=True)
    for name in names[:1]:
        np.save(root / f"{name}.npy", values)
    for name in names[1:]:
        Image.fromarray((255 * values).astype(np.uint8)).save(root / f"{name}.png")


LOCALIZATION: Sequence[Callable[[Path], None]] = (
    boxes_csv, voc_boxes, yolo, yolo_folders, coco, cub, wsol, openimages, imagenet_s, neu_det,
    glas,
)  # fmt: skip
DEFECTS: Sequence[Callable[[Path], None]] = (mvtec, visa, kolektor, kolektor2, good_bad)
