"""`camx doctor`: is this machine, data set, network or run as it should be?"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from camx.cli import options, printing
from camx.cli.shared import MINIATURE, pick_device
from camx.evaluators.fields import Checked, path, text

if TYPE_CHECKING:
    from camx.evaluators.doctor import Finding
    from camx.evaluators.types import Dataset


@dataclass(frozen=True, kw_only=True)
class DoctorOptions(Checked):
    """What is looked at besides the machine."""

    data: str | None = text(
        default=None, names="datasets", help="Folder of a data set, or a name of `camx list`."
    )
    model: str | None = text(
        default=None, names="models", help="Network of the weights.  [default: that of their run]"
    )
    weights: str | None = text(
        default=None, names="files", help="A file of tensors, or torchvision's name of its weights."
    )
    run: Path | None = path(default=None, help="Folder of a run, or of several.")
    device: str = text(default="cpu", help="auto, cpu, cuda, cuda:1, ...")


@click.command("doctor")
@options.typed(DoctorOptions)
@options.common
def command(asked: DoctorOptions) -> None:
    """Look at the machine, and at the data set, weights and run named: a line each, with the mend.

    Exit code 1 if anything is bad.

    \b
    camx doctor --data ILSVRC --model vgg16 --weights vgg16.pth    before a long run
    camx doctor --run results                                      are all records whole?
    """
    printing.start("the machine", asked.data or "", err=True)
    from camx.evaluators import doctor

    findings = [*doctor.machine()]
    seen = None
    if asked.data:
        about, seen = doctor.data(asked.data)
        findings += about
    if not asked.run or asked.data:
        images = len(seen.samples) if seen else 50_000
        findings += doctor.disk(Path("results"), images)
    if asked.weights or asked.model:
        findings += network(asked, seen)
    if asked.run:
        findings += doctor.run(asked.run)
    for finding in findings:
        mend = f" -> {finding.mend}" if finding.mend else ""
        click.echo(f"{finding.level:<8}{finding.what}{mend}")
    if bad := sum(finding.level == doctor.BAD for finding in findings):
        click.echo(f"\n{bad} bad of {len(findings)}", err=True)
        raise click.exceptions.Exit(1)


def network(asked: DoctorOptions, dataset: "Dataset[Any] | None") -> "list[Finding]":
    """What of the network and its weights is good, on the data set or the miniature."""
    from camx.camcore import networks
    from camx.cli import training
    from camx.evaluators import datasets, doctor

    device = pick_device(asked.device)
    dataset = dataset or datasets.load(MINIATURE)
    try:
        held = None if asked.model else training.trained(asked.weights)
        model = asked.model or (held and held.model) or dataset.model
        loaded = networks.load(model, asked.weights, "paper", device)
    except (ValueError, OSError) as error:
        mend = "--model names its network; `camx list models`"
        return [doctor.Finding(doctor.BAD, " ".join(str(error).split()), mend)]
    return [*doctor.gate(loaded, dataset)]
