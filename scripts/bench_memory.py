"""Peak memory of making pseudo labels, by the number of images: it must not grow with it.

python scripts/bench_memory.py          # a process for each of 100, 400 and 1600 images, the
miniature's over and over
"""

import resource
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd

COUNTS = (100, 400, 1600)


def one(count: int) -> None:
    """Make the labels of `count` images in this process and print its peak memory in MiB."""
    from camx.camcore import networks
    from camx.evaluators import datasets, grids, protocols, records
    from camx.evaluators.loop import Measurement
    from camx.evaluators.tasks import pseudo
    from camx.evaluators.types import Cell

    cells = (Cell.of("layercam", "S4"),)
    protocol = protocols.load("paper", "pseudo", pseudo.Protocol)
    plan = grids.plan(networks.load("mini-vgg-voc"), protocol, cells, batch_size=20, workers=2)
    dataset = datasets.load("mini", "segmentation", "train")
    few = dataset.samples
    scenes = tuple(replace(few[i % len(few)], image_id=f"{i}") for i in range(count))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        job = Measurement(out, dataset, scenes, cells, protocol, pseudo.Options(), 0, plan)
        missing = {s.image_id: set(cells) for s in scenes}
        with records.Writer(out / "records") as writer:
            pseudo.loop(job, scenes, missing, writer, lambda: None)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def main() -> None:
    if len(sys.argv) > 1:
        return one(int(sys.argv[1]))
    peaks = [
        int(
            subprocess.run(
                [sys.executable, __file__, str(n)], check=True, capture_output=True, text=True
            ).stdout
        )
        for n in COUNTS
    ]
    print(pd.DataFrame({"images": COUNTS, "peak MiB": peaks}).to_string(index=False))


if __name__ == "__main__":
    main()
