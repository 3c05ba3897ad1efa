"""Maps of cells on the image's grid: squashed images, classes and a plan in, uint8 grids out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from camx.camcore import arithmetic, faults, fusion, maps, passes, plugins, views, winsor
from camx.camcore.arithmetic import Arithmetic
from camx.camcore.faults import Fault, NotFinite
from camx.camcore.networks import Network
from camx.camcore.suggestions import near
from camx.camcore.variants import WINSOR
from camx.evaluators import memory
from camx.evaluators.types import Cell, MapProtocol
from camx.evaluators.workers import Processes

Missing = Mapping[str, set[Cell]]  # by image_id
Raw = Mapping[tuple[str, str], Tensor]  # by method and layer


@dataclass(frozen=True)
class Plan:
    """How the maps of `cells` are made: by what network, protocol and methods, on what machine.

    Images are decoded and scored by `workers` threads, or by `processes`.
    """

    network: Network
    protocol: MapProtocol
    cells: tuple[Cell, ...]
    cams: Mapping[str, maps.Method]
    batch_size: int
    workers: int
    device: str
    processes: Processes | None = None

    @property
    def view(self) -> views.View:
        return views.view(self.protocol.view, self.network.input_size)

    @property
    def sources(self) -> Mapping[str, maps.Method]:
        """What raw maps are made by: the methods, and the importance of layers (`winsor`)."""
        return {**self.cams, **winsor.SOURCE}

    @property
    def batch(self) -> int:
        """Images a batch: `batch_size` counts views."""
        return max(1, self.batch_size // self.view.crops)


def plan(
    network: Network,
    protocol: MapProtocol,
    cells: Sequence[Cell],
    methods: Sequence[str] = (),
    device: str = "cpu",
    batch_size: int = 20,
    workers: int = 1,
    processes: Processes | None = None,
) -> Plan:
    """The plan of the maps of `cells`.

    `methods` are plug-ins as the user named them, which a cell's name alone may not find. Its
    network computes as the protocol says. Raises `ValueError` for a method that is neither, for a
    precision that the device does not have, and for a method that needs more of it.
    """
    given = maps.methods(methods, protocol.style)
    shipped = plugins.names(maps.METHODS)
    for cell in cells:
        if cell.method not in given and cell.method not in shipped:
            accepted = f"{', '.join(shipped)} (or --method FILE.py){near(cell.method, shipped)}"
            raise ValueError(f"unknown method {cell.method!r}; known: {accepted}")
    cams = given | maps.methods([c.method for c in cells if c.method not in given], protocol.style)
    unique = tuple(dict.fromkeys(cell.map for cell in cells))
    how = Arithmetic(protocol.precision, protocol.channels_last)
    maps.check_arithmetic(cams.values(), how)
    network = replace(network, module=arithmetic.computing(network.module, how, device))
    return Plan(network, protocol, unique, cams, batch_size, workers, device, processes)


def raw_maps(
    plan: Plan, images: Tensor, targets: Tensor, cells: Sequence[Cell], real: int
) -> tuple[dict[tuple[str, str], Tensor], Tensor]:
    """Each method's raw maps at a layer ``(B*crops,h,w)``, and the logits ``(B,crops,K)``.

    Of squashed ``images (B,3,g,g) uint8``; each crop's map is of the class's score in that crop.
    Images from `real` on are padding. Raises `NotFinite` of the others whose logits or maps hold
    NaN or Inf, rows being images.
    """
    inputs = plan.network.prepare(views.cut(images.to(plan.device), plan.view))
    return _raw(plan, inputs, targets, cells, real)


def _raw(
    plan: Plan, inputs: Tensor, targets: Tensor, cells: Sequence[Cell], real: int
) -> tuple[dict[tuple[str, str], Tensor], Tensor]:
    """The same of views ``(B*crops,3,H,W)``, prepared and cut."""
    network, view = plan.network, plan.view
    classes = targets.to(plan.device).repeat_interleave(view.crops)
    layers = [network.layer(name) for name in layer_names(cells)]
    protocol = plan.protocol
    how = (layers, plan.sources, protocol.gradient, pairs(cells))
    rows = real * view.crops

    def compute(part: slice) -> tuple[dict[tuple[str, str], Tensor], Tensor]:
        shown, asked = inputs[part], classes[part]
        left = min(max(rows - part.start, 0), part.stop - part.start)
        try:
            return maps.compute(network.module, shown, asked, *how, left, protocol.target)
        except NotFinite as error:
            raise error.mapped(partial(_of_image, network, view.crops, part.start)) from None

    chunks = memory.by_halves(compute, len(inputs), plan.batch_size, plan.device)
    logits = torch.cat([chunk[1] for chunk in chunks]).unflatten(0, (-1, view.crops))
    raw = {key: torch.cat([chunk[0][key] for chunk in chunks]) for key in chunks[0][0]}
    return raw, logits


def first_choices(plan: Plan, images: Tensor) -> Tensor:
    """The class ``(B,)`` that the network finds likeliest in squashed ``images (B,3,g,g) uint8``.

    An image's views are taken together.
    """
    network, view = plan.network, plan.view
    inputs = network.prepare(views.cut(images.to(plan.device), view))

    def answer(part: slice) -> Tensor:
        return passes.answer(network.module, inputs[part])

    with torch.no_grad(), passes.frozen(network.module):
        logits = torch.cat(memory.by_halves(answer, len(inputs), plan.batch_size, plan.device))
    return logits.unflatten(0, (-1, view.crops)).sum(1).argmax(1).cpu()


def grids(
    plan: Plan, images: Tensor, targets: Tensor, cells: Sequence[Cell], real: int
) -> tuple[dict[Cell, Tensor], Tensor]:
    """Each cell's maps in [0, 1], ``(B,g,g)``, and the logits ``(B,crops,K)``; see `raw_maps`."""
    return _made(plan, cells, real, *raw_maps(plan, images, targets, cells, real))


def of_prepared(
    plan: Plan, images: Tensor, targets: Tensor, cells: Sequence[Cell], real: int
) -> tuple[dict[Cell, Tensor], Tensor]:
    """As `grids`, of prepared ``images (B,3,g,g)``: such as were changed afterwards."""
    inputs = views.cut(images, plan.view)
    return _made(plan, cells, real, *_raw(plan, inputs, targets, cells, real))


def _made(
    plan: Plan, cells: Sequence[Cell], real: int, raw: Raw, logits: Tensor
) -> tuple[dict[Cell, Tensor], Tensor]:
    make = _styled if plan.protocol.style else _merged
    combined = make(plan, cells, raw, real)
    return dict(zip(cells, combined)), logits


def _of_image(network: Network, crops: int, first: int, fault: Fault) -> Fault:
    """The fault of a view, the views before it `first` and more, as its image's."""
    return replace(fault, row=(first + fault.row) // crops, network=network.name)


def layer_names(cells: Sequence[Cell]) -> list[str]:
    """Every layer of the cells, once."""
    return list(dict.fromkeys(name for cell in cells for name in cell.layers))


def pairs(cells: Sequence[Cell]) -> set[tuple[str, str]]:
    """Every (method, layer) whose raw map the cells need, and the importance of layers weighed."""
    weighed = [cell for cell in cells if cell.scaling == WINSOR]
    importances = {(winsor.IMPORTANCE, name) for cell in weighed for name in cell.layers}
    return {(cell.method, name) for cell in cells for name in cell.layers} | importances


def image_maps(
    plan: Plan,
    images: Tensor,
    targets: Tensor,
    cells: Sequence[Cell] | None = None,
    real: int | None = None,
) -> tuple[dict[Cell, np.ndarray], np.ndarray]:
    """Each cell's uint8 maps ``(B,g,g)`` of squashed images, and the summed logits ``(B,K)``.

    `cells` are the plan's unless given. Images from `real` on are padding.
    """
    cells = plan.cells if cells is None else cells
    real = len(images) if real is None else real
    maps_of, logits = grids(plan, images, targets, cells, real)
    together = torch.stack([fusion.to_bytes(m) for m in maps_of.values()]).cpu()  # one transfer
    summed = logits.sum(1).cpu()
    try:
        faults.check({faults.LOGITS: summed[:real]})  # a sum may be infinite where no part is
    except NotFinite as error:
        raise error.mapped(partial(_of_image, plan.network, 1, 0)) from None
    return dict(zip(cells, together.numpy())), summed.numpy()


def _merged(plan: Plan, cells: Sequence[Cell], raw: Raw, real: int) -> Iterator[Tensor]:
    """Each cell's map in [0, 1], ``(B,g,g)``: crops merged on the grid, then as in `combine`."""
    merged: dict[tuple[str, str], Tensor] = {}
    for shape in {m.shape for m in raw.values()}:  # those of one size in one call
        keys = [key for key, m in raw.items() if m.shape == shape]
        together = views.merge(torch.cat([raw[key] for key in keys]), plan.view)
        merged |= zip(keys, together.unflatten(0, (len(keys), -1)))
    return combine(plan, cells, merged, real)


def combine(plan: Plan, cells: Sequence[Cell], merged: Raw, real: int) -> Iterator[Tensor]:
    """Each cell's map in [0, 1] from raw maps on the grid, ``(N,g,g)``.

    Each raw map is normalised once for all the cells it is part of; several are then fused. Raises
    `NotFinite` of the first `real` rows whose sums over views, or spans, are too large for a float.
    """
    form = plan.protocol.normalisation
    normal = {k: fusion.normalise(m, form) for k, m in merged.items() if k[0] in plan.cams}
    faults.check({key: m[:real] for key, m in normal.items()})
    middle = plan.view.grid // 2  # which every view sees
    importances = {
        y: m[:, middle, middle] for (x, y), m in merged.items() if x == winsor.IMPORTANCE
    }
    for cell in cells:
        parts = {name: normal[cell.method, name] for name in cell.layers}
        alone = len(parts) == 1 and not cell.scaling
        yield parts[cell.layer] if alone else fusion.fuse(parts, cell.scaling, importances)


def _styled(plan: Plan, cells: Sequence[Cell], raw: Raw, real: int) -> Iterator[Tensor]:
    """Each cell's map in [0, 1], ``(B,g,g)``, as another package makes it of the raw maps."""
    combination = maps.combination(plan.protocol.style)
    for cell in cells:
        layers = [raw[cell.method, name] for name in cell.layers]
        combined = combination(cell.method, layers, plan.view.grid)
        faults.check({(cell.method, cell.layer): combined[:real]})
        yield combined
