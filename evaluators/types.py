"""The words of the evaluators as types. Boxes are ``(x0, y0, x1, y1)``, pixels of the original image."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Literal, NamedTuple, TypeVar

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Sample:
    """One image: its file, its class index and the true boxes of that class (exclusive end where drawn).

    Of a defect data set, label 1 is defective, `mask` is the file that marks the defect (see `masks.truth`; None for
    a good image) or its ellipse, and `split` is ``train`` or ``test``; `group` is what a stratified split keeps apart.
    """

    image_id: str
    path: Path
    label: int
    boxes: tuple[Box, ...] = ()
    mask: "Path | Ellipse | None" = None
    split: str = ""
    group: str = ""


@dataclass(frozen=True)
class Scene:
    """One image of a segmentation data set: its file, its classes, and the file of its true mask if it has one.

    `labels` are ascending; label k is index k + 1 of the mask, whose index 0 is background and 255 ignored (see
    `indices.read_mask`). They may be empty for test images. `split` is the list that was read, as ``train`` or ``val``.
    """

    image_id: str
    path: Path
    labels: tuple[int, ...] = ()
    mask: Path | None = None
    split: str = ""


class Ellipse(NamedTuple):
    """A defect as DAGM's older mirror describes it: centre and semi-axes in pixels, the angle in radians."""

    x: float
    y: float
    major: float
    minor: float
    angle: float


Item = TypeVar("Item", bound=Sample | Scene)


@dataclass(frozen=True)
class Dataset(Generic[Item]):
    """A data set as read: `classes` are readable names by label, `model` is the network it suits by default.

    `samples` are `Scene`s if it is for segmentation, else `Sample`s. `fingerprint` changes when any image's name, size
    in bytes, label or boxes change, or those of its mask.
    """

    name: str
    root: Path
    classes: tuple[str, ...] = field(repr=False)
    samples: tuple[Item, ...] = field(repr=False)
    fingerprint: str
    model: str = "vgg16"


class Cell(NamedTuple):
    """One measured entry of a run: `layer` is a name or a fusion ``S5+S4``; `variant` is empty or ``gamma=2``."""

    method: str
    layer: str
    variant: str = ""


@dataclass(frozen=True)
class Localization:
    """One image's outcome in one cell: a row of ``records/``. `top5` are class indices, best first.

    The box is in pixels of the original image, with an exclusive end, as the authors' ``[x, y, x+w, y+h]``.
    `degenerate` marks a map that is empty or constant.
    """

    image_id: str
    label: int
    top5: tuple[int, ...]
    method: str
    layer: str
    variant: str
    x0: int
    y0: int
    x1: int
    y1: int
    iou: float
    degenerate: bool


@dataclass(frozen=True)
class Occlusion:
    """One image's outcome when a cell's map says what to hide: a row of ``records/`` of `camx occlude`.

    `variant` is the map's, then ``area=0.1`` where a share of the pixels is hidden and not what exceeds the
    threshold, then ``random`` where the mask was moved to a random place. `occluded` is the share of the
    image hidden, 0 to 1. Scores are probabilities of the label, logits the label's, summed over crops; ranks
    are the label's, 1 for the first choice. An image that the network does not recognise passes unchanged.
    """

    image_id: str
    label: int
    method: str
    layer: str
    variant: str
    rank_before: int
    rank_after: int
    score_before: float
    score_after: float
    logit_before: float
    logit_after: float
    occluded: float
    degenerate: bool


@dataclass(frozen=True)
class Curve:
    """One image's deletion or insertion curve in one cell: a row of ``records-deletion/`` or ``records-insertion/``.

    `scores` are the label's probabilities after 0, 1, ... steps, `area` the area below them (0 to 1). An image
    that the network does not recognise, or an empty map, has no curve: `scores` is empty, `area` not a number.
    """

    image_id: str
    label: int
    method: str
    layer: str
    variant: str
    rank_before: int
    area: float
    scores: tuple[float, ...]
    degenerate: bool


@dataclass(frozen=True)
class Defect:
    """One defective image's outcome in one cell: a row of ``records/`` of `camx defects`.

    `inside` and `outside` count the pixels of each of the map's 256 levels, on the true defect and off it: every
    threshold's IoU and the average precision come from them. `masks` are the map's masks, COCO run-length encoded
    (``counts`` of size ``[height, width]``), a list element a threshold of the protocol's grid. `score` is the
    network's probability that the image is defective. `degenerate` marks a map that is empty or constant.
    """

    image_id: str
    label: int
    method: str
    layer: str
    variant: str
    split: str
    score: float
    height: int
    width: int
    inside: tuple[int, ...]
    outside: tuple[int, ...]
    masks: tuple[str, ...]
    degenerate: bool


@dataclass(frozen=True)
class Pseudo:
    """One image's outcome in one cell: a row of ``records/`` of `camx pseudo`.

    `labels` are the class indices in the image, of `classes` in the data set. `confusion` is the pseudo label's
    confusion matrix with the true mask, `argmax` that of Table XIII's form with a constant background; row and column
    0 are the background, k + 1 class k, and only what is not zero is kept: true, predicted, pixels, true, ...
    (`confusion.sparse`). `intersections` and `unions` are pixels of each label's thresholded map with its mask, in the
    order of `labels`. All four are empty without a true mask. `degenerate` marks a map that is empty or constant.
    """

    image_id: str
    method: str
    layer: str
    variant: str
    labels: tuple[int, ...]
    classes: int
    confusion: tuple[int, ...]
    argmax: tuple[int, ...]
    intersections: tuple[int, ...]
    unions: tuple[int, ...]
    degenerate: bool


@dataclass(frozen=True)
class Segmentation:
    """One image's predicted mask against the true one: a row of ``records/`` (with a CRF: ``records-crf/``) of `camx segment`.

    `method`, `layer` and `variant` are of the pseudo labels that trained the network (a network other than the paper's
    VGG16 is named in the variant), or the name given to somebody's masks. `confusion` is sparse: true, predicted, pixels, ...
    """

    image_id: str
    method: str
    layer: str
    variant: str
    classes: int
    confusion: tuple[int, ...]


@dataclass(frozen=True)
class Timing:
    """How long one iteration took: a row of ``timing.parquet``. `images` were shown at once."""

    method: str
    layer: str
    variant: str
    iteration: int
    images: int
    seconds: float
    device: str


@dataclass(frozen=True, kw_only=True)
class MapProtocol:
    """How maps are made, whatever is measured on them. Sources: protocol.md section 1.

    view            resize: one squashed view of the network's input; ten-crop: the authors' ten crops
    preprocessing   paper: Caffe's BGR form for VGG16's weights from a file; model: the network's own
    gradient        next: at the next max-pool's output, upsampled (the authors'); own: at the activation
    normalisation   max: divided by the maximum (the authors'); minmax
    style           another package whose way of making maps is followed (camcore/styles), or empty
    """

    name: str
    view: str
    preprocessing: str
    gradient: Literal["own", "next"]
    normalisation: str
    style: str = ""


@dataclass(frozen=True, kw_only=True)
class Protocol(MapProtocol):
    """The protocol of `camx localize`: every choice that moves a number but is not the method.

    interpolation   how the uint8 map is resized to the image: cubic (the authors') or linear
    threshold       share of 255 above which a pixel of the resized uint8 map is object
    box             rectangle: the largest bounding rectangle (the authors'); contour: the largest contour
    iou             inclusive: widths and heights count +1 (the authors'); exact
    grabcut         layers whose thresholded map GrabCut grows into a connected region (the paper: S2, S1)
    grabcut_methods for which methods (the paper says LayerCAM)
    """

    interpolation: str
    threshold: float
    box: str
    iou: str
    grabcut: tuple[str, ...] = ()
    grabcut_methods: tuple[str, ...] = ()

    def grabs(self, cell: Cell) -> bool:
        """Whether GrabCut refines this cell; never a fused one."""
        return cell.layer in self.grabcut and cell.method in self.grabcut_methods


@dataclass(frozen=True, kw_only=True)
class OcclusionProtocol(MapProtocol):
    """The protocol of `camx occlude`. Sources: protocol.md section 2; RISE (Petsiuk et al. 2018) for the curves.

    threshold       share of the map's maximum above which a pixel is hidden
    fill            what hides it: mean (zero after the means are subtracted), black, blur
    score           the label's probability: sum (softmax of the crops' summed logits), mean (of their softmaxes)
    start           what an insertion curve starts from: blur (RISE's), mean or black; deletion ends at `fill`
    steps           steps of a curve; 0 is RISE's, as many as the grid has rows
    """

    threshold: float
    fill: str
    score: str
    start: str
    steps: int


@dataclass(frozen=True, kw_only=True)
class DefectProtocol(MapProtocol):
    """The protocol of `camx defects`. Sources: protocol.md section 3.

    interpolation   how the uint8 map is resized to the image: linear or cubic
    thresholds      how many thresholds the search tries: 1/(n+1), 2/(n+1), ... of the map's maximum
    """

    interpolation: str
    thresholds: int


@dataclass(frozen=True, kw_only=True)
class PseudoProtocol(MapProtocol):
    """The protocol of `camx pseudo`. Sources: the paper's sections III-D (eq. 10) and III-E, protocol.md section 4.

    interpolation   how the uint8 map is resized to the image: linear or cubic
    threshold       share of 1 below which a superpixel's best class is background (the paper: 0.3)
    hard_threshold  of Table XIII: share of the map's maximum above which a pixel is marked (the paper: 0.2)
    superpixels     slic; none, each pixel for itself; or a folder of label maps. The paper's are not established
    segments        about how many superpixels SLIC makes
    compactness     SLIC's weight of nearness against colour
    scales          of the image's sides; the maps of all scales are averaged. The paper names none: 1
    flip            whether the mirrored image's maps are averaged in. The paper names none: false
    """

    interpolation: str
    threshold: float
    hard_threshold: float
    superpixels: str
    segments: int
    compactness: float
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False


PROTOCOLS: dict[str, type[MapProtocol]] = {
    "localize": Protocol,
    "occlude": OcclusionProtocol,
    "defects": DefectProtocol,
    "pseudo": PseudoProtocol,
}
CHOICES: dict[str, tuple[str, ...]] = {
    "view": ("resize", "ten-crop"),
    "preprocessing": ("paper", "model"),
    "gradient": ("own", "next"),
    "normalisation": ("max", "minmax"),
    "interpolation": ("cubic", "linear"),
    "box": ("rectangle", "contour"),
    "iou": ("inclusive", "exact"),
    "style": ("", "pytorch-grad-cam", "torch-cam"),
    "fill": ("mean", "black", "blur"),
    "start": ("mean", "black", "blur"),
    "score": ("sum", "mean"),
}
