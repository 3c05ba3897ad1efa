"""Sources: what a figure is made from, a network, images and a protocol, and where they come from.

A run's are loaded again from where its ``run.json`` says, and must be the same as they were.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from camx.camcore import networks, plugins
from camx.camcore.networks import Network
from camx.camcore.suggestions import near
from camx.evaluators import datasets, draws, explanations, fields, protocols, records
from camx.evaluators.earlier import completed
from camx.evaluators.records import Run
from camx.evaluators.results.figures import Figure, layers
from camx.evaluators.tasks import Task
from camx.evaluators.types import Dataset, Sample

MINIATURE, OF_PHOTOGRAPHS = "mini", "efficientnet-lite0"
UNKNOWN = -1  # the label of a picture of which nothing is known: the network's first choice


@dataclass(frozen=True)
class Choice:
    """Which images: `images`, files or names of the data set's, or `count` drawn by `seed`.

    `count` is the figure's own where it is None.
    """

    images: tuple[str, ...] = ()
    count: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Spot:
    """What a figure is computed of on the spot: what is not said is the data set's or usual."""

    data: str | None = None
    model: str | None = None
    weights: str | None = None
    protocol: str | None = None
    download: bool = False

    @property
    def said(self) -> bool:
        """Whether anything is, so that no run is looked for."""
        return any((self.data, self.model, self.weights, self.protocol))


@dataclass(frozen=True)
class Source:
    """What maps are made from; `origin` is the run's folder, empty where there is none."""

    task: Task
    dataset: Dataset[Any] = field(repr=False)
    network: Network = field(repr=False)
    protocol: Any
    device: str = "cpu"
    origin: str = ""

    @property
    def about(self) -> tuple[str, ...]:
        """Network, protocol and data, for people."""
        root = "embedded" if self.dataset.name == MINIATURE else str(self.dataset.root)
        data = f"data {self.dataset.name}: {f'run {self.origin}' if self.origin else root}"
        if not self.dataset.samples:
            data = "photographs, of each the class that the network finds likeliest"
        return (*made_by(self.network, self.protocol), data)

    def label(self, sample: Sample) -> str:
        """What an image is called: its class, or its texture, and below that its name."""
        names = self.dataset.classes if self.task.data == "localization" else ()
        name = names[sample.label] if 0 <= sample.label < len(names) else sample.group
        return "\n".join(filter(None, (name, sample.image_id.removeprefix(f"{sample.group}/"))))


def made_by(network: Network, protocol: Any) -> tuple[str, str]:
    """Network and protocol in two lines, for people."""
    how = f"{network.weights}, {network.preprocessing.name} preprocessing"
    views = f"{protocol.view} view, gradient {protocol.gradient}, target {protocol.target}"
    return f"network {network.name} ({how})", f"protocol {protocol.name}: {views}"


class Sources:
    """The sources below a folder of runs, or on the spot, each loaded once."""

    def __init__(self, runs: Path | None, device: str = "cpu", spot: Spot | None = None) -> None:
        self.device, self.spot = device, spot or Spot()
        self.runs = records.find(runs) if runs and runs.is_dir() else []
        self.runs.sort(key=lambda run: run.newest, reverse=True)
        self._loaded: dict[tuple[str, Path | None], Source] = {}

    def of(self, figure: Figure, images: Sequence[str] = ()) -> Source:
        """What the figure is made from: the newest run that suits it, or the miniature.

        Photographs are shown to no network of the miniature's, which knows ten drawn shapes.
        """
        run = None if self.spot.said else self.measured(figure)
        strange = photographs(images) and not self.spot.data and figure.task.data == "localization"
        if strange and (run is None or run.kind == MINIATURE):
            return of_photographs(figure.task, images, self.spot, self.device)
        key = figure.task.name, run.folder if run else None
        if key not in self._loaded:
            again = of_run(run, figure.task, self.device) if run else None
            self._loaded[key] = again or on_the_spot(figure.task, self.spot, self.device)
        return self._loaded[key]

    def measured(self, figure: Figure) -> Run | None:
        """The newest run that suits a figure."""
        return next((run for run in self.runs if suits(run, figure)), None)


def suits(run: Run, figure: Figure) -> bool:
    """Whether the figure can be of the run: made by its command, by a network with its layers."""
    held = run.identity.get("layers")  # older runs do not say them
    fitting = not isinstance(held, dict) or set(layers(figure)) <= set(held)
    return run.command == figure.task.command and bool(run.model) and fitting


def photographs(images: Sequence[str]) -> bool:
    """Whether images are named, and are files."""
    return bool(images) and all(Path(image).is_file() for image in images)


def of_photographs(task: Task, images: Sequence[str], spot: Spot, device: str) -> Source:
    """Photographs as a data set of which nothing is known but the network's class names."""
    protocol = protocols.load(spot.protocol or "paper", task.command, task.protocol)
    network = _network(spot, OF_PHOTOGRAPHS, protocol.preprocessing, device)
    names = explanations.names_of(network)
    dataset = Dataset[Sample]("photographs", Path(images[0]).parent, names, (), "")
    return Source(task, dataset, network, protocol, device)


def on_the_spot(task: Task, spot: Spot, device: str) -> Source:
    """The data set and network named, or the miniature and its own. `ValueError` for a mismatch."""
    dataset = datasets.load(spot.data or MINIATURE, task.data, truth=task.truth)
    protocol = protocols.load(spot.protocol or "paper", task.command, task.protocol)
    network = _network(spot, dataset.model, protocol.preprocessing, device)
    if len(dataset.classes) != network.classes:
        told = f"{network.name} with {network.weights} tells {network.classes} classes apart"
        needed = (
            f"{dataset.root} has {len(dataset.classes)}; choose a matching --model or --weights"
        )
        raise ValueError(f"{told}, but {needed}")
    return Source(task, dataset, network, protocol, device)


def _network(spot: Spot, usual: str, preprocessing: str, device: str) -> Network:
    """The network named, or that whose run is beside the weights, or the usual one."""
    trained = None if spot.model else records.beside(spot.weights)
    model = spot.model or (trained and trained.model) or usual
    return networks.load(model, spot.weights, preprocessing, device, spot.download)


def of_run(run: Run, task: Task, device: str = "cpu") -> Source:
    """What a run measured: data, network and protocol as it had them.

    Raises `ValueError` naming its ``run.json`` and what is no longer there, or another now.
    """
    options = options_of(run)
    try:
        for option in ("model", "data"):
            unasked(option, str(options.get(option) or ""))
        protocol = fields.built(task.protocol, completed(run.protocol), "protocol")
        dataset = measured_again(run, task)
        weights, model = options.get("weights"), options.get("model") or str(run.model)
        network = networks.load(model, weights, protocol.preprocessing, device)
        if network.sha256 != run.identity.get("weights_sha256"):
            what = f"weights {weights or network.weights} are not those that were measured"
            raise ValueError(what)
    except (ValueError, FileNotFoundError) as error:
        raise ValueError(f"{run.folder / 'run.json'}: {error}") from None
    return Source(task, dataset, network, protocol, device, str(run.folder))


def unasked(option: str, name: str) -> None:
    """`ValueError` for code of a user's: what a ``run.json`` names is not imported for that."""
    ours = option == "data" and datasets.shipped(name)  # READER:FOLDER
    if not ours and (name.endswith(".py") or (":" in name and not plugins.reference(name)[0])):
        what = f"its {option} is code, {name}, which is not run because a file names it"
        raise ValueError(f"{what}; say it yourself: camx figures --{option} {name}")


def options_of(run: Run) -> dict[str, Any]:
    """The options of a run's last invocation."""
    return run.last.get("options") or {}


def place(run: Run) -> str:
    """Where the run's data set is, or its reader's name."""
    said = str(options_of(run).get("data") or "")
    return said if datasets.shipped(said) else run.dataset["root"]


def same(dataset: Dataset[Any], run: Run) -> Dataset[Any]:
    """The data set, if its images are those that the run measured. `ValueError` if not."""
    if dataset.fingerprint != run.fingerprint:
        raise ValueError(f"data {place(run)} are not the images that were measured")
    return dataset


def measured_again(run: Run, task: Task) -> Dataset[Any]:
    """The run's data set, split as it was. `ValueError` or `FileNotFoundError` if it is gone."""
    wanted = fields.of(task.options)
    options = {name: value for name, value in options_of(run).items() if name in wanted}
    read = task.read(place(run), task.options(**options), int(run.identity.get("seed") or 0))
    return same(read, run)


def pick(source: Source, choice: Choice, count: int) -> list[Sample]:
    """The images asked for, or some drawn at random, in the data set's order.

    Of defects only test images that are defective. Raises `ValueError` for an image that is neither
    a file nor in the data set.
    """
    samples = source.dataset.samples
    if choice.images:
        unknown = 1 if source.task.data == "defects" else UNKNOWN
        return [_named(image, samples, unknown) for image in choice.images]
    if source.task.data == "defects":
        samples = tuple(s for s in samples if s.label and s.mask and s.split == "test")
        if not samples:
            raise ValueError(f"{source.dataset.root}: no defective image to test with")
    return list(draws.pick(samples, choice.count or count, None, choice.seed))


def _named(image: str, samples: Sequence[Sample], unknown: int) -> Sample:
    """The image of a name or file; one that the data set does not have gets the label `unknown`."""
    path = Path(image)
    file = path.resolve() if path.is_file() else None
    for sample in samples:
        if image == sample.image_id or (file and file == sample.path.resolve()):
            return sample
    if not file:
        ids = [sample.image_id for sample in samples]
        names = f"no such file{f', nor image such as {ids[0]}' if ids else ''}{near(image, ids)}"
        raise ValueError(f"{image}: {names}")
    return Sample(path.stem, path, unknown)
