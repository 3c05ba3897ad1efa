"""The shared words as types. Boxes are ``(x0, y0, x1, y1)``, pixels of the original image."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from camx.camcore import plugins, variants
from camx.evaluators.fields import Checked, choice, flag, text
from camx.evaluators.object_masks import ObjectMask
from camx.evaluators.values import Box, as_box, path_of, settle, whole

RANDOM = "random"  # in a variant: the mask was moved to a random place
MAP_STYLES = ("", *plugins.names("camx.camcore.styles"))


@dataclass(frozen=True)
class Sample:
    """One image: its file, its class index and the true boxes of that class (exclusive end).

    Paths may be given as ``str``, boxes as any four numbers, indices as NumPy's; anything else is a
    `ValueError` that names the image.

    Of a defect data set, label 1 is defective, `mask` is the file that marks the defect (see
    `masks.truth`; None for a good image) or its ellipse, and `split` is ``train`` or ``test``;
    `group` is what a stratified split keeps apart.

    Of a localization data set, `mask` says which pixels are the object's; without boxes, it has
    them too. `difficult` is whether all the class's objects are marked so, `present` how many
    classes are on the image, which is then measured once for each.
    """

    image_id: str
    path: Path
    label: int
    boxes: tuple[Box, ...] = ()
    mask: "Path | Ellipse | ObjectMask | None" = None
    split: str = ""
    group: str = ""
    difficult: bool = False
    present: int = 1

    def __post_init__(self) -> None:
        path, mask = path_of(f"{self.image_id!r}: path", self.path), self.mask
        try:
            boxes = tuple(map(as_box, self.boxes))
            label = whole("label", self.label)
            if mask is not None and not isinstance(mask, Ellipse | ObjectMask):
                mask = path_of("mask", mask)
        except TypeError:
            what = f"boxes are {self.boxes!r}; expected (x0, y0, x1, y1), ..."
            raise ValueError(f"{path}: {what}") from None
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        settle(self, {"path": path, "label": label, "boxes": boxes, "mask": mask})

    def within(self, size: tuple[int, int]) -> "Sample":
        """The sample with its boxes cut at the edges of its picture, width and height `size`.

        Without any they are its mask's.

        `ValueError` naming the image for a box more than half of which is not in it: such a one is
        of another picture, or of this one at another size.
        """
        boxes = tuple(self._within(box, size) for box in self.boxes)
        if not boxes and isinstance(self.mask, ObjectMask):
            boxes = self.mask.boxes(size)
        return self if boxes == self.boxes else replace(self, boxes=boxes)

    def _within(self, box: Box, size: tuple[int, int]) -> Box:
        x0, y0, x1, y1 = box
        a0, b0, a1, b1 = max(x0, 0), max(y0, 0), min(x1, size[0]), min(y1, size[1])
        inside = max(a1 - a0, 0) * max(b1 - b0, 0)
        if 2 * inside < (x1 - x0) * (y1 - y0):
            what = f"of box {box} less than half lies in the picture, {size[0]} x {size[1]}"
            raise ValueError(f"{self.path}: {what}; are the boxes those of this image?")
        return a0, b0, a1, b1


@dataclass(frozen=True)
class Scene:
    """One image of a segmentation data set: its file, its classes, and the file of its true mask.

    `labels` are ascending; label k is index k + 1 of the mask, whose index 0 is background and 255
    ignored (see `voc_masks.read_mask`). They may be empty for test images. `split` is the list that
    was read, as ``train`` or ``val``.
    """

    image_id: str
    path: Path
    labels: tuple[int, ...] = ()
    mask: Path | None = None
    split: str = ""

    def __post_init__(self) -> None:
        path = path_of(f"{self.image_id!r}: path", self.path)
        try:
            if not isinstance(self.labels, Iterable):
                raise ValueError(f"labels are {self.labels!r}; expected indices such as (0, 3)")
            labels = tuple(whole("a label", label) for label in self.labels)
            mask = None if self.mask is None else path_of("mask", self.mask)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        settle(self, {"path": path, "labels": labels, "mask": mask})


class Ellipse(NamedTuple):
    """A defect as DAGM's older mirror describes it: pixels, and an angle in radians."""

    x: float
    y: float
    major: float
    minor: float
    angle: float


Item = TypeVar("Item", bound=Sample | Scene)


@dataclass(frozen=True)
class Dataset(Generic[Item]):
    """A data set as read: `classes` are names by label, `model` is the network it suits by default.

    `samples` are `Scene`s if it is for segmentation, else `Sample`s. `fingerprint` changes when any
    image or mask, its name, label, boxes or split change (`fingerprints.fingerprint`).

    `images` is the folder that other programs name images below, where that is not `root`: a map
    of ``images/a/b.jpg`` is ``a/b.jpg.npy`` to them.
    """

    name: str
    root: Path
    classes: tuple[str, ...] = field(repr=False)
    samples: tuple[Item, ...] = field(repr=False)
    fingerprint: str
    model: str = "vgg16"
    images: Path | None = None

    def __post_init__(self) -> None:
        for name in ("name", "fingerprint", "model"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise ValueError(f"a data set's {name} is {value!r}; expected a text")
        if isinstance(self.samples, str) or not isinstance(self.samples, Iterable):
            raise ValueError(f"a data set's samples are {self.samples!r}; expected a sequence")
        several = not isinstance(self.classes, str) and isinstance(self.classes, Iterable)
        classes = tuple(self.classes) if several else (None,)
        if not all(isinstance(name, str) for name in classes):
            expected = "expected their names by label"
            raise ValueError(f"a data set's classes are {self.classes!r}; {expected}")
        root = path_of("a data set's root", self.root)
        settle(self, {"root": root, "classes": classes, "samples": tuple(self.samples)})


@dataclass(frozen=True)
class Cell:
    """One measured entry of a run: a method's map at a layer, or of several layers fused.

    scaling  of a fused map: gamma=2, scale=sqrt or fusion=product (`camcore.variants`), or nothing
    area     the share of the pixels that the map hides; None: those above the threshold
    random   whether the mask was moved to a random place
    network  what segmented after the map's labels, where it is not the paper's network
    """

    method: str
    layers: tuple[str, ...] = ()
    scaling: str = ""
    area: float | None = None
    random: bool = False
    network: str = ""

    @property
    def layer(self) -> str:
        """The layers as records name them: ``S5``, or ``S5+S4`` when fused."""
        return "+".join(self.layers)

    @property
    def variant(self) -> str:
        """All but method and layers as records name it: ``gamma=2``, ``area=0.1, random``."""
        area = "" if self.area is None else f"area={self.area:g}"
        words = (self.scaling, area, RANDOM if self.random else "", self.network)
        return ", ".join(filter(None, words))

    @property
    def key(self) -> tuple[str, str, str]:
        """``(method, layer, variant)``, as records hold a cell."""
        return self.method, self.layer, self.variant

    @property
    def map(self) -> "Cell":
        """The cell of the map alone, whatever is done with it."""
        return replace(self, area=None, random=False, network="")

    def __str__(self) -> str:
        return " ".join(filter(None, self.key))

    @staticmethod
    def of(method: str, layer: str = "", variant: str = "") -> "Cell":
        """The cell that records name so. `ValueError` for an area that is none."""
        words = variant.split(", ") if variant else []
        scalings = [w for w in words if w.startswith(("gamma=", "scale=", "fusion="))]
        areas = [w for w in words if w.startswith("area=")]
        others = [w for w in words if w not in (RANDOM, *scalings, *areas)]
        layers = tuple(filter(None, layer.split("+")))
        area = _area(variant, areas) if areas else None
        return Cell(method, layers, ", ".join(scalings), area, RANDOM in words, ", ".join(others))

    def canonical(self) -> "Cell":
        """A map's cell as records name it (`variants.canonical`). `ValueError` for none."""
        if self != self.map:
            variants.parse(self.variant)  # raises, saying what a variant may be
        return replace(self, scaling=variants.canonical(self.layer, self.scaling))


def single(cells: Sequence[Cell], why: str) -> list[Cell]:
    """The cells, each of one layer as it is. `ValueError` for a fused or scaled one."""
    for cell in cells:
        if len(cell.layers) != 1 or cell.variant:
            such = f"such as --layer {cell.layers[0]}"
            raise ValueError(f"{cell} is fused or scaled; {why}, {such}")
    return list(cells)


def _area(variant: str, words: list[str]) -> float:
    try:
        (area,) = (float(word.removeprefix("area=")) for word in words)
    except ValueError:
        area = 0.0
    if not 0 < area < 1:
        raise ValueError(f"variant {variant!r}: expected one area between 0 and 1: area=0.1")
    return area


@dataclass(frozen=True, kw_only=True)
class Protocol(Checked):
    """Every choice that moves a number but is not the method; a task adds fields of its own."""

    name: str = text(help="its file's name, and what --set changed")


@dataclass(frozen=True, kw_only=True)
class MapProtocol(Protocol):
    """How maps are made, whatever is measured on them."""

    view: str = choice(
        "resize",
        "ten-crop",
        help="resize: one squashed view of the network's input; ten-crop: the authors' ten crops",
        source='docs/protocol.md, section 1, "Input"',
    )
    preprocessing: str = choice(
        "paper",
        "model",
        help="paper: Caffe's BGR form for VGG16's weights from a file; model: the network's own",
        source='docs/protocol.md, section 1, "Input"',
    )
    gradient: Literal["own", "next"] = choice(
        "own",
        "next",
        help="next: at the next max-pool, upsampled (the authors'); own: at the activation",
        source='docs/protocol.md, section 1, "Map"',
    )
    normalisation: str = choice(
        "max",
        "minmax",
        help="max: divided by the maximum (the authors'); minmax: from the minimum",
        source='docs/protocol.md, section 1, "Merging ten crops"',
    )
    style: str = choice(*MAP_STYLES, default="", help="another package whose maps are made")
    target: str = choice(
        "logit", "softmax", "finer", "finer-softmax", default="logit",
        help="what of the class is explained: its logit or probability, or (finer) its logit less "
        "those of the classes nearest to it",
        source='docs/protocol.md, section 1, "Target"',
    )  # fmt: skip
    precision: str = choice(
        "float32", "tf32", "bf16", "fp16", default="float32",
        help="what the network computes in, by torch's autocast; maps are float32. tf32: on CUDA",
        source='docs/protocol.md, section 1, "Arithmetic"',
    )  # fmt: skip
    channels_last: bool = flag(
        help="the network's weights and images lie channels last in memory: often faster, and "
        "some pixels of shallow maps are others",
        source='docs/protocol.md, section 1, "Arithmetic"',
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.style and self.view != "resize":
            raise ValueError(f"style {self.style} needs view resize, not {self.view}")


def arithmetic(protocol: Mapping[str, Any]) -> str:
    """How a map protocol's network computes, for people; empty where as usual or already said."""
    said = str(protocol.get("name", ""))
    precision = str(protocol.get("precision", "float32"))
    words = [] if precision == "float32" or f"precision={precision}" in said else [precision]
    if protocol.get("channels_last") and "channels_last=True" not in said:
        words.append("channels last")
    return ", ".join(words)
