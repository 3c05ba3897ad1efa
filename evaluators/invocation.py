"""What a run is by, and one call of a command, as ``run.json`` keeps them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from camx.evaluators import environment
from camx.evaluators.types import Dataset


@dataclass(frozen=True)
class Identity:
    """What must not change between two invocations into one folder.

    `layers` are what the network's layers are (`Network.table`); earlier runs do not say it.
    `further` is what else determines the numbers of this command, such as a training's recipe.
    """

    command: str
    fingerprint: str
    seed: int
    model: str | None = None
    weights_sha256: str | None = None
    preprocessing: str | None = None
    protocol: Mapping[str, Any] | None = None
    layers: Mapping[str, Any] | None = None
    further: Mapping[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As ``run.json`` has it: what a command does not have is left out."""
        values = {name: value for name, value in vars(self).items() if value is not None}
        del values["further"], values["fingerprint"]
        return values | {"data": {"fingerprint": self.fingerprint}} | dict(self.further)


@dataclass
class Invocation:
    """One call of a command: all its options, and what computed.

    `plugins` are the sha256 of files that are not camx's own, by the name they are recorded under;
    `task` is how a task that is not camx's own can be loaded again, `classes` what a network was
    trained to tell apart, `numerics` whether a rerun repeats its bits, and at how many threads;
    `processes` is how many measured together.
    """

    options: Mapping[str, Any]
    dataset: Mapping[str, str]
    device: str
    weights: str | None = None
    plugins: Mapping[str, str] = field(default_factory=dict)
    task: str | None = None
    classes: Sequence[str] = ()
    batch_size: int | None = None
    workers: int | None = None
    processes: int = 1
    numerics: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    command_line: Sequence[str] = field(default_factory=environment.command_line)
    versions: Mapping[str, str] = field(default_factory=environment.versions)
    commit: str | None = field(default_factory=environment.commit)
    source: str = field(default_factory=environment.source)
    start: str = field(default_factory=environment.now)
    end: str | None = None


def place(dataset: Dataset[Any]) -> dict[str, str]:
    """What a data set is called and where it is."""
    return {"name": dataset.name, "root": str(dataset.root)}
