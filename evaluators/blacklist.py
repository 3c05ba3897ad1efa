"""Images a run is told to leave out: ``left_out.txt``, which its next invocation may change."""

from collections.abc import Sequence
from pathlib import Path

from camx.evaluators.files import read_lines, write_text

FILE = "left_out.txt"


def left_out(run: Path) -> list[str]:
    """The images that a run's last invocation was told to leave out (``--blacklist``)."""
    path = run / FILE
    return [line for _, line in read_lines(path)] if path.is_file() else []


def leave_out(run: Path, images: Sequence[str]) -> None:
    """Keep which images are left out; records of them, if there are any, no longer count."""
    if images:
        write_text(run / FILE, "".join(f"{image_id}\n" for image_id in images))
    else:
        (run / FILE).unlink(missing_ok=True)
