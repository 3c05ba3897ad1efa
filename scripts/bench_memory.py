"""Peak memory of making pseudo labels, by the number of images: it must not grow with it.

python scripts/bench_memory.py          # a process for each of 100, 400 and 1600 images, the miniature's over and over
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
    from camcore import networks
    from evaluators import datasets, labelling, protocols, records, runs
    from evaluators.types import Cell

    cells = [Cell("layercam", "S4")]
    plan = runs.plan(networks.load("mini-vgg-voc"), protocols.load("paper", command="pseudo"), cells, batch_size=20, workers=2)
    own = datasets.load("mini", "segmentation", "train").samples
    scenes = [replace(own[i % len(own)], image_id=f"{i}") for i in range(count)]
    with tempfile.TemporaryDirectory() as folder, records.Writer(Path(folder) / "records") as writer:
        missing = {s.image_id: set(cells) for s in scenes}
        labelling.measure(plan, cells, 10, Path(folder), scenes, missing, writer, lambda: None)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def main() -> None:
    if len(sys.argv) > 1:
        return one(int(sys.argv[1]))
    peaks = [int(subprocess.run([sys.executable, __file__, str(n)], check=True, capture_output=True, text=True).stdout) for n in COUNTS]
    print(pd.DataFrame({"images": COUNTS, "peak MiB": peaks}).to_string(index=False))


if __name__ == "__main__":
    main()
