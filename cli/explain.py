"""`camx explain`: what does the network look at? Methods x layers over a picture, as PNG."""

from pathlib import Path
from typing import Any

import click

from cli import options

SHOWN = 3  # pictures of the miniature when none is named


@click.command("explain")
@click.argument("images", nargs=-1, type=click.Path(path_type=Path))
@options.network
@options.overrides
@click.option("--method", "methods", multiple=True, help="Method; repeats.  [default: the five gradient methods]")
@click.option("--layer", "layers", multiple=True, help="Layer, or a fusion S5+S4; repeats.  [default: all]")
@click.option("--class", "target", help="Class to explain: its index or name.  [default: the network's first choice]")
@options.out("explain")
@options.debug
def command(
    images: tuple[Path, ...], out: Path, methods: tuple[str, ...], layers: tuple[str, ...], target: str | None, **chosen: Any
) -> None:
    """Draw the maps of each IMAGE over it; without an IMAGE, of three of the miniature's.

    A photograph is shown to torchvision's VGG16, whose weights must be in torchvision's cache (or give
    --download, or --weights FILE). The predicted box of each map is green, true boxes are red.
    """
    from camcore import networks, views
    from evaluators import cells, datasets, protocols, runs

    protocol = options.checked(protocols.load, "single", chosen["overrides"])
    device = options.pick_device(chosen["device"])
    samples = dict.fromkeys(images) or {s.path: s for s in datasets.load("mini").samples[:SHOWN]}
    for path in images:
        views.read_image(path)
    model = chosen["model"] or ("vgg16" if images else "mini-vgg")
    network = networks.load(model, chosen["weights"], protocol.preprocessing, device, chosen["download"])
    chosen_cells = options.checked(cells.product, network, methods, layers, ())
    plan = runs.plan(network, protocol, chosen_cells, methods, device, batch_size=1)
    click.echo(f"{network.name} ({network.weights}, {network.preprocessing.name} preprocessing)")
    names = class_names(network)
    index = None if target is None else options.checked(_target, target, names, network.classes)
    out.mkdir(parents=True, exist_ok=True)
    for path, sample in samples.items():
        destination = next(p for n in range(10_000) if (p := out / f"{path.stem}{f'-{n}' * (n > 0)}.png") not in _written)
        click.echo(f"{destination}: {draw(plan, path, sample, names, index, destination)}")
        _written.add(destination)


_written: set[Path] = set()  # two folders may hold pictures of one name


def class_names(network: Any) -> tuple[str, ...]:
    """The network's class names; the miniature's for its own networks, and numbers where there are none."""
    from evaluators.miniature.ilsvrc import CLASSES

    if network.weights.startswith("shipped "):
        return tuple(CLASSES[wnid] for wnid in sorted(CLASSES))
    return network.class_names or tuple(f"class {i}" for i in range(network.classes))


def _target(target: str, names: tuple[str, ...], classes: int) -> int:
    if target.isdigit() and int(target) < classes:
        return int(target)
    if target not in names:
        raise ValueError(f"unknown class {target!r}; accepted: 0..{classes - 1}, or a name such as {names[0]!r}")
    return names.index(target)


def draw(plan: Any, path: Path, sample: Any, names: tuple[str, ...], target: int | None, destination: Path) -> str:
    """Write one picture's overlay grid; returns its title."""
    import numpy as np
    import torch

    from camcore import views
    from evaluators import boxes, figures, heatmaps, runs

    protocol, image = plan.protocol, views.read_image(path)
    squashed = torch.from_numpy(views.squash(image, plan.view.grid))[None]
    with torch.no_grad():
        inputs = plan.network.prepare(views.cut(squashed, plan.view))
        scores = plan.network.module(inputs).sum(0).softmax(0)
    asked = int(scores.argmax()) if target is None else target
    grids, _ = runs.image_maps(plan, squashed, torch.tensor([asked]))
    shown = {cell: heatmaps.on_image(grid[0], image.size, protocol.interpolation) for cell, grid in grids.items()}
    found = {c: boxes.box(heatmaps.foreground(h, protocol.threshold), protocol.box) for c, h in shown.items()}
    title = f"{names[asked]} ({100 * float(scores[asked]):.1f} %)"
    if target is not None and int(scores.argmax()) != asked:
        title += f"; first choice {names[int(scores.argmax())]} ({100 * float(scores.max()):.1f} %)"
    if sample:
        title += f"; truth: {names[sample.label]}"
    figures.overlay_grid(np.asarray(image), shown, found, sample.boxes if sample else (), title, destination)
    return title
