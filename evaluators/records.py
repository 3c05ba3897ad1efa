"""A run's folder: ``run.json``, which says what determined the numbers, and ``records/*.parquet``.

Another kind of row in the same run is in ``records-<kind>/``. Parts are written under a temporary
name and renamed, so a run killed at any moment loses at most the records of the last 30 seconds and
never holds half a part.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camx.evaluators import blacklist, environment, parts
from camx.evaluators.earlier import completed
from camx.evaluators.files import digest, free, listing, parse_json, read_text, write_json
from camx.evaluators.invocation import Identity, Invocation
from camx.evaluators.invocation import place as place
from camx.evaluators.types import Cell, arithmetic
from camx.evaluators.writer import Writer as Writer
from camx.evaluators.writer import beside_of

if TYPE_CHECKING:
    import pandas as pd

CELL = ["method", "layer", "variant"]
KEY = ["image_id", *CELL]
THRESHOLD = "threshold"  # in an identity: what images thresholds are chosen on
WORDS = {str: "a text", int: "a whole number", list: "a list", dict: "a mapping"}  # of JSON
# What says that a run made something, which its identity then governs: records, a training, files.
MADE = (
    "records*/*.parquet",
    "checkpoint.pt",
    "maps/*.*",
    "maps/**/*.npy",
    "masks*/*.*",
    "masks/**/*.png",
    "labels/*/*.*",
)


def read(run: Path, columns: list[str] | None = None, kind: str = "records") -> "pd.DataFrame":
    """All records of a `kind` in a run, ordered by image and cell; empty without any yet.

    Those of images that a blacklist leaves out now are not among them. Raises `ValueError` naming a
    part that is damaged, or that another run made.
    """
    folders = run / kind, beside_of(run / kind)
    paths = [path for folder in folders for path in listing(folder, (".parquet",), "part")]
    if not paths:
        import pandas as pd

        return pd.DataFrame(columns=columns)
    frame = parts.joined(paths, columns, mark_of(run)).to_pandas()
    if dropped := blacklist.left_out(run):
        frame = frame[~frame["image_id"].isin(dropped)]
    # What two processes measured into one folder is the same, and counts once.
    return frame.drop_duplicates(KEY).sort_values(KEY, ignore_index=True)


def lacking(
    run: Path, kind: str, cells: Sequence[Cell], images: Iterable[str]
) -> dict[str, set[Cell]]:
    """The cells that each of the images has no record of, of that kind."""
    held = done(run, kind)
    return {i: {c for c in cells if i not in held.get(c, ())} for i in images}


def mark_of(run: Path) -> str:
    """The mark that a run's parts bear; empty of an earlier run, or without a ``run.json``."""
    path = run / "run.json"
    content = parse_json(read_text(path), str(path)) if path.is_file() else {}
    return str(content.get("mark") or "") if isinstance(content, dict) else ""


def done(run: Path, kind: str = "records") -> dict[Cell, set[str]]:
    """The images that each cell already holds."""
    groups = read(run, KEY, kind).groupby(CELL)["image_id"]
    return {Cell.of(*map(str, key)): set(images) for key, images in groups}


@dataclass
class Run:
    """A run as ``run.json`` describes it; its own fields are those of the last invocation."""

    folder: Path
    identity: dict[str, Any]
    invocations: list[dict[str, Any]]

    @property
    def last(self) -> dict[str, Any]:
        return self.invocations[-1]

    @property
    def command(self) -> str:
        return str(self.identity["command"])

    @property
    def mark(self) -> str:
        """A digest of the identity the run began with, which its parts bear; '' of earlier runs."""
        return str(self.identity.get("mark") or "")

    @property
    def task(self) -> str:
        """How the task of a user's that measured it can be loaded; empty for camx's own."""
        return str(self.last.get("task") or "")

    @property
    def model(self) -> str | None:
        return self.identity.get("model")

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of what a network was trained to tell apart; empty where none is told."""
        return tuple(map(str, self.last.get("classes") or ()))

    @property
    def protocol(self) -> dict[str, Any]:
        return self.identity.get("protocol") or {"name": ""}

    @property
    def fingerprint(self) -> str:
        return str(self.identity["data"]["fingerprint"])

    @property
    def dataset(self) -> dict[str, str]:
        """The data set's name and root."""
        return {key: self.last["dataset"][key] for key in ("name", "root")}

    @property
    def kind(self) -> str:
        """What kind of data it measured (`kinds.kind`); of older runs, by the data set's name."""
        return str(self.last["dataset"].get("kind", self.last["dataset"]["name"]))

    @property
    def newest(self) -> str:
        """When its last invocation began."""
        return max(str(invocation["start"]) for invocation in self.invocations)

    def about(self) -> str:
        """Network, data and protocol in a line, for people."""
        words = f"{self.model or 'masks'} on {self.dataset['name']}"
        if name := self.protocol["name"]:
            words += f", protocol {name}"
        if computed := arithmetic(self.protocol):
            words += f", {computed}"
        if preprocessing := self.identity.get("preprocessing"):
            words += f", {preprocessing} preprocessing"
        if superpixels := self.protocol.get("superpixels"):
            words += f", superpixels {superpixels}"
        if count := len(blacklist.left_out(self.folder)):
            words += f", {count} images left out"
        if note := self.identity.get("note"):  # what people wrote into a run.json of theirs
            words += f" ({note})"
        return words

    def save(self) -> None:
        """Write ``run.json`` whole or not at all, the list of invocations last, for people."""
        last = {key: value for key, value in self.last.items() if key != "start"}
        content = {**self.identity, "start": self.invocations[0]["start"], **last}
        write_json(self.folder / "run.json", content | {"invocations": self.invocations})

    def finish(self, **counts: int) -> None:
        """Enter when the current invocation ended, and what it counted."""
        self.last.update(end=environment.now(), counts=counts)
        self.save()


# What a run.json holds, by the path of its keys; those in OPTIONAL may be absent or null.
REQUIRED: dict[str, type] = {
    "command": str, "seed": int, "model": str, "invocations": list,
    "data": dict, "data.fingerprint": str, "protocol": dict, "protocol.name": str,
    "dataset": dict, "dataset.name": str, "dataset.root": str, "preprocessing": str,
}  # fmt: skip
REQUIRED_OF_INVOCATION: dict[str, type] = {
    "": dict, "start": str, "dataset": dict, "dataset.name": str, "dataset.root": str,
    "plugins": dict, "options": dict, "classes": list, "task": str, "counts": dict, "weights": str,
}  # fmt: skip
OPTIONAL = {
    "seed", "model", "protocol", "preprocessing", "plugins", "options", "classes", "task", "counts",
    "weights",
}  # fmt: skip


def _typed(path: Path, content: Any, kinds: Mapping[str, type], whose: str = "") -> None:
    """Raise `ValueError` for what of a ``run.json`` is missing or of another type."""
    for name, kind in kinds.items():
        value, above = content, name.split(".")[0]
        for key in filter(None, name.split(".")):
            value = value.get(key) if isinstance(value, dict) else None
        if value is None and above in OPTIONAL and content.get(above) is None:
            continue
        if not isinstance(value, kind):
            what = f"{whose}{name or 'entry'} is {str(value)[:80]!r}; expected {WORDS[kind]}"
            raise ValueError(f"{path}: a damaged run.json: {what}")


def find(runs: Path) -> list[Run]:
    """Every run at or below `runs`, sorted by folder."""
    if not runs.is_dir():
        raise FileNotFoundError(f"{runs}: no such folder of runs")
    return [load(path.parent) for path in sorted(runs.rglob("run.json"))]


def load(folder: Path) -> Run:
    """The run in a folder. Raises `ValueError` naming its ``run.json`` when that is none."""
    path = folder / "run.json"
    content = parse_json(read_text(path), str(path))
    if not isinstance(content, dict) or not content.get("invocations"):
        raise ValueError(f"{path}: not a run.json that camx wrote")
    _typed(path, content, REQUIRED)
    for invocation in content["invocations"]:
        _typed(path, invocation, REQUIRED_OF_INVOCATION, "an invocation's ")
    changing = {f.name for f in dataclasses.fields(Invocation)} | {"invocations"}
    identity = {key: value for key, value in content.items() if key not in changing}
    return Run(folder, identity, content["invocations"])


def beside(weights: str | Path | None) -> Run | None:
    """The run that made a weights file, if there is one in its folder."""
    folder = Path(weights).parent if weights else None
    return load(folder) if folder and (folder / "run.json").is_file() else None


def begin(folder: Path, identity: Identity, invocation: Invocation) -> Run:
    """Open a run's folder, which should be `holding.held`, for another call; see `intended`."""
    run = intended(folder, identity, invocation)
    run.save()
    return run


def intended(folder: Path, identity: Identity, invocation: Invocation) -> Run:
    """A folder's run with another invocation, of which nothing is written.

    Raises `ValueError` naming the field and a free folder where it holds a run that made something
    and whose identity differs. What another protocol, data set or network made must never mix.
    """
    made = next((pattern for pattern in MADE if any(folder.glob(pattern))), "")
    if made and not (folder / "run.json").is_file():
        what = f"{made} but no run.json to say what they are"
        raise ValueError(f"{folder} holds {what}; choose another folder: --out {free(folder)}")
    asked, earlier = plain(identity.plain()), list[dict[str, Any]]()
    held: dict[str, Any] = {}
    mark = digest([json.dumps(asked, sort_keys=True).encode()])[: parts.DIGITS]
    if made:  # a run that failed before it made anything claims nothing
        run = load(folder)
        told = {"layers": asked.get("layers"), "parts": 1, **run.identity}  # of earlier runs
        told.setdefault(THRESHOLD, asked.get(THRESHOLD))
        held = {THRESHOLD: told[THRESHOLD]} if told[THRESHOLD] else {}
        told |= {"protocol": completed(run.identity.get("protocol"))}
        for key, value in asked.items():
            _compare(folder, key, told.get(key), value)
        for name, sha256 in invocation.plugins.items():
            if any(old.get("plugins", {}).get(name, sha256) != sha256 for old in run.invocations):
                what = f"records of another version of {name!r}"
                raise ValueError(f"{folder} holds {what}; choose another: --out {free(folder)}")
        earlier, mark = run.invocations, run.mark or mark
    return Run(folder, {**held, **asked, "mark": mark}, [*earlier, plain(invocation)])


def _compare(folder: Path, key: str, old: Any, new: Any) -> None:
    if isinstance(old, dict) and isinstance(new, dict):
        # What differs, before what it is called.
        for name in sorted({**old, **new}, key=lambda name: (name == "name", name)):
            _compare(folder, f"{key}.{name}", old.get(name), new.get(name))
    elif old != new:
        what = f"a run whose {key} is {old!r}, not {new!r}"
        raise ValueError(f"{folder} holds {what}; choose another folder: --out {free(folder)}")


def plain(value: Any) -> Any:
    """A dataclass or mapping as JSON's own types."""
    instance = dataclasses.is_dataclass(value) and not isinstance(value, type)
    content = dataclasses.asdict(value) if instance else value
    return json.loads(json.dumps(content, default=str))
