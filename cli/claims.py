"""`camx claims`: the paper's sentences against recorded runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from camx.camcore.suggestions import near
from camx.cli import options, printing, tabular
from camx.cli.shared import RunsOptions
from camx.evaluators.fields import Checked, text

if TYPE_CHECKING:
    import pandas as pd

    from camx.evaluators.results.claims import Claim

TESTED = ("difference", "ci_low", "ci_high", "p_value", "p_holm", "n")
COLOURS = {"reproduced": "green", "contradicted": "red"}


@dataclass(frozen=True, kw_only=True)
class ClaimOptions(Checked):
    """Which claims."""

    ids: tuple[str, ...] = text(
        many="A1", default=(), option="--claim", metavar="ID", names="claims",
        help="Show only this claim, with each of its comparisons; repeats.",
    )  # fmt: skip
    file: str = text(
        default="", names="files", help="FILE.yaml of claims of your own, as configs/claims.yaml."
    )


@click.command("claims")
@options.typed(RunsOptions, ClaimOptions)
@tabular.form
@options.out("claims")
@options.common
def command(runs: RunsOptions, wanted: ClaimOptions, out: Path) -> None:
    """Say which of the paper's comparative sentences your runs reproduce, contradict or leave open.

    Both sides of a comparison are measured on the same images of one run: hits by the exact McNemar
    test, other numbers by sign flips, all corrected for their number (Holm). A claim is reproduced
    if all its comparisons are, and contradicted by one. Every comparison is written to
    OUT/claims.csv.
    """
    from camx.evaluators import files, records
    from camx.evaluators.results import claims

    loaded = options.checked(claims.load, wanted.file)
    if strange := set(wanted.ids) - {claim.id for claim in loaded}:
        ids = [claim.id for claim in loaded]
        accepted = f"{', '.join(ids)}{near(min(strange), ids)}"
        raise click.UsageError(f"unknown claim {min(strange)!r}; known: {accepted}")
    # All, whatever is shown: the correction is for all.
    frame = claims.evaluate(loaded, runs.runs, runs.data, runs.seed)
    files.write_text(out / "claims.csv", frame.to_csv(index=False))
    files.sweep(out, files.STALE)
    for folder in sorted({*frame["run"].dropna(), *frame["against"].dropna()}):
        images = printing.counted(frame[frame[["run", "against"]].eq(folder).any(axis=1)]["n"])
        click.echo(f"{folder}: {records.load(Path(folder)).about()}, {images}")
    shown = [claim for claim in loaded if not wanted.ids or claim.id in wanted.ids]
    if not tabular.textual():
        return tabulated(shown, frame, bool(wanted.ids))
    for claim in shown:
        show(claim, frame[frame["claim"] == claim.id], bool(wanted.ids))
    count = frame.drop_duplicates("claim")["verdict"].value_counts()
    click.echo(f"\nwrote {out / 'claims.csv'}\n")
    printing.table([(v, int(count.get(v, 0))) for v in claims.VERDICTS], ("verdict", "claims"))


def tabulated(shown: "Sequence[Claim]", frame: "pd.DataFrame", whole: bool) -> None:
    """The claims, a row each; or, of the `whole` of them, a row for each comparison."""
    rows: list[list[object]] = []
    for claim in shown:
        of_claim = frame[frame["claim"] == claim.id]
        if whole:
            for r in of_claim.itertuples():
                sides = (claim.id, r.comparison, r.metric, r.more, r.less)
                rows.append([*sides, *(_plain(r, name) for name in TESTED)])
            continue
        held = (of_claim["comparison"] == "reproduced").sum()
        verdict = of_claim["verdict"].iloc[0]
        rows.append([claim.id, verdict, held, len(of_claim), claim.sentence, claim.where])
    of_claims = ("claim", "verdict", "reproduced", "comparisons", "sentence", "where")
    heads = ("claim", "comparison", "metric", "more", "less", *TESTED) if whole else of_claims
    printing.table(rows, heads, numbers=False)


def _plain(row: Any, name: str) -> str | None:
    """A number of a comparison; None where it was not run, or not corrected."""
    value = getattr(row, name)
    return None if value is None or value != value else f"{value:.4g}"


def show(claim: "Claim", rows: "pd.DataFrame", whole: bool) -> None:
    """A claim's verdict and sentence, and its weakest comparison, or the `whole` of them."""
    from camx.evaluators.results import claims

    verdict = rows["verdict"].iloc[0]
    held = (rows["comparison"] == "reproduced").sum()
    count = f" ({held} of {len(rows)} comparisons)" if len(rows) > 1 else ""
    coloured = click.style(verdict, fg=COLOURS.get(verdict))
    click.echo(f"\n{claim.id}  {coloured}{count}: {claim.sentence} [{claim.where}]")
    measured = rows[rows["p_value"].notna()]
    shown, which = measured, ""
    if not whole and len(measured) > 1:
        shown, which = claims.weakest(measured, claim).to_frame().T, "weakest: "
    for row in shown.itertuples():
        click.echo(f"    {which}{_comparison(row)}")
    if len(measured) < len(rows):
        first = rows[rows["p_value"].isna()].iloc[0]
        lacking = f"{len(rows) - len(measured)} of {len(rows)}"
        click.echo(f"    not run: {lacking}, such as {first['more']} - {first['less']}")


def _comparison(row: Any) -> str:
    """One comparison in words; of claims of equality the interval decides, uncorrected."""
    equality = row.p_holm is None or row.p_holm != row.p_holm
    corrected = "" if equality else f", corrected {row.p_holm:.2g}"
    interval = f"[{row.ci_low:+.2f}, {row.ci_high:+.2f}]"
    test = f"{row.difference:+.2f} {interval}, p {row.p_value:.2g}{corrected}, n={row.n:.0f}"
    return f"{row.metric}, {row.more} - {row.less}: {test}: {row.comparison}"
