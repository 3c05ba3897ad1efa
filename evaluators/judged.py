"""A map and the truth of its image, in the forms that measures ask for; each is made once."""

from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np

from camx.evaluators import heatmaps, object_masks
from camx.evaluators.object_masks import IGNORED, OBJECT, ObjectMask
from camx.evaluators.types import Sample

SIDE = 224  # of the square that wsolevaluation and the ImageNet-Segmentation protocol judge on


@dataclass(frozen=True)
class Truth:
    """What is true of an image: its `sample`, boxes cut at its edges, and `size`, width and height.

    Boxes are ``(n,4)`` x0, y0, x1, y1; masks uint8, 1 the object, 0 background, 255 ignored.
    """

    sample: Sample
    size: tuple[int, int]

    @property
    def masked(self) -> bool:
        """Whether a mask says which pixels are the object."""
        return isinstance(self.sample.mask, ObjectMask)

    @cached_property
    def boxed(self) -> np.ndarray:
        """``(H,W) bool``: the union of the boxes."""
        inside = np.zeros(self.size[::-1], bool)
        for x0, y0, x1, y1 in self.sample.boxes:
            inside[y0:y1, x0:x1] = True
        return inside

    @cached_property
    def mask(self) -> np.ndarray:
        """``(H,W) uint8``: the mask, or the union of the boxes where there is none."""
        mask = self.sample.mask
        return mask.read(self.size) if isinstance(mask, ObjectMask) else self.boxed.view(np.uint8)

    @cached_property
    def marked(self) -> np.ndarray:
        """``(H,W) bool``: what `mask` says is the object."""
        return self.mask == OBJECT if self.masked else self.boxed

    @cached_property
    def counted(self) -> np.ndarray | None:
        """``(H,W) bool``: what takes part; None if all does."""
        counted = self.mask != IGNORED
        return None if counted.all() else counted

    @cached_property
    def distance(self) -> np.ndarray:
        """``(H,W) float32``: how many pixels each is away from the object; infinite without one."""
        away = (self.mask != OBJECT).astype(np.uint8)
        if away.all():
            return np.full(away.shape, np.inf, np.float32)
        distances: np.ndarray = cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        return distances

    @cached_property
    def square_mask(self) -> np.ndarray:
        """``(224,224) uint8``: the mask squashed, each pixel the nearest one."""
        mask = self.sample.mask
        if isinstance(mask, ObjectMask):
            return mask.read((SIDE, SIDE))
        return object_masks.nearest(self.mask, (SIDE, SIDE))

    @cached_property
    def square_boxes(self) -> np.ndarray:
        """``(n,4) int64``: the boxes on the squashed image, cut off to whole numbers."""
        width, height = self.size
        boxes = np.array(self.sample.boxes, float).reshape(-1, 4) * SIDE
        return (boxes / (width, height, width, height)).astype(np.int64)


@dataclass(frozen=True)
class Map:
    """A map as it was `given`, ``(g,g) uint8`` of a grid or floats ``(h,w)``, of an image.

    `size` is the image's width and height, `interpolation` how the map is resized to it.
    """

    given: np.ndarray = field(repr=False)
    size: tuple[int, int]
    interpolation: str = "cubic"
    _counted: dict[int, tuple[np.ndarray | None, np.ndarray]] = field(
        default_factory=dict, repr=False, compare=False
    )  # by the identity of a part, which is kept, so that no other part takes it over

    def histogram(self, part: np.ndarray | None = None) -> np.ndarray:
        """``(256,) int64``: the pixels of each value, of a map that is uint8 on the image.

        Of a `part`, ``(H,W) bool``, counted once.
        """
        if (key := id(part)) not in self._counted:
            mask = None if part is None else part.view(np.uint8)
            counts = cv2.calcHist([self.on_image], [0], mask, [256], [0, 256])
            self._counted[key] = part, counts.ravel().astype(np.int64)
        return self._counted[key][1]

    @cached_property
    def on_image(self) -> np.ndarray:
        """``(H,W)`` of the type given: resized to the image."""
        return heatmaps.on_image(self.given, self.size, self.interpolation)

    @cached_property
    def square(self) -> np.ndarray:
        """``(224,224) float64`` in [0, 1] as wsolevaluation's inference makes it.

        Resized bicubically and stretched from its minimum to its maximum; zeros where it is
        constant or not finite. A square within [0, 1] that is given as floats is taken as it is,
        as wsolevaluation's evaluation of files does.
        """
        given = self.given
        if given.dtype != np.uint8:
            given = given.astype(float)
            if given.shape == (SIDE, SIDE) and given.min() >= 0 and given.max() <= 1:
                return given
        if not np.isfinite(given).all() or given.min() == given.max():
            return np.zeros((SIDE, SIDE))  # resized, a constant would differ by rounding
        values = given / 255 if given.dtype == np.uint8 else given
        resized = values if values.shape == (SIDE, SIDE) else _cubic(values)
        low, high = resized.min(), resized.max()
        if low == high:
            return np.zeros((SIDE, SIDE))
        stretched: np.ndarray = resized - low
        stretched /= stretched.max()
        return stretched

    @cached_property
    def levels(self) -> np.ndarray:
        """``(224,224) uint8``: `square` times 255, cut off."""
        return (self.square * 255).astype(np.uint8)

    @cached_property
    def linear(self) -> np.ndarray:
        """``(224,224)`` of the type given, resized linearly."""
        return heatmaps.on_image(self.given, (SIDE, SIDE), "linear")


def _cubic(values: np.ndarray) -> np.ndarray:
    resized: np.ndarray = cv2.resize(values, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return resized
