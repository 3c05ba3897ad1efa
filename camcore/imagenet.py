"""ImageNet: its thousand classes, and their names."""

from importlib import resources

CLASSES = 1000
# Of two classes of one name, the second.
SECOND = {134: "crane bird", 639: "maillot tank suit"}


def class_names() -> tuple[str, ...]:
    """The names by index: torchvision's, which itself takes seconds to import."""
    text = (resources.files("camx.configs") / "ilsvrc_synsets.txt").read_text("utf-8")
    names = [line.partition(" ")[2] for line in text.splitlines()]
    return tuple(SECOND.get(index, name) for index, name in enumerate(names))
