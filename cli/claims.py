"""`camx claims`: the paper's sentences against recorded runs."""

from pathlib import Path

import click

from cli import options, printing

COLOURS = {"reproduced": "green", "contradicted": "red"}


@click.command("claims")
@options.runs
@options.out("claims")
@click.option("--claim", "ids", multiple=True, help="Show only this claim, with each of its comparisons; repeats.")
@click.option("--file", "name", default="", help="FILE.yaml of claims of your own, as configs/claims.yaml.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the resampling.")
@options.debug
def command(runs: Path, out: Path, data: str | None, ids: tuple[str, ...], name: str, seed: int) -> None:
    """Say which of the paper's comparative sentences your runs reproduce, contradict or leave undecided.

    Both sides of a comparison are measured on the same images of one run: hits by the exact McNemar test, other
    numbers by sign flips, all corrected for their number (Holm). A claim is reproduced if all its comparisons
    are, and contradicted by one. Every comparison is written to OUT/claims.csv.
    """
    from evaluators import claims, records

    known = options.checked(claims.load, name)
    if strange := set(ids) - {claim.id for claim in known}:
        raise click.UsageError(f"unknown claim {min(strange)!r}; known: {', '.join(claim.id for claim in known)}")
    frame = claims.evaluate(known, runs, data, seed)  # all, whatever is shown: the correction is for all
    out.mkdir(parents=True, exist_ok=True)
    frame.to_csv(out / "claims.csv", index=False)
    for claim in known:
        if ids and claim.id not in ids:
            continue
        own = frame[frame["claim"] == claim.id]
        verdict = own["verdict"].iloc[0]
        held = (own["comparison"] == "reproduced").sum()
        count = f" ({held} of {len(own)} comparisons)" if len(own) > 1 else ""
        click.echo(f"\n{claim.id}  {click.style(verdict, fg=COLOURS.get(verdict))}{count}: {claim.sentence} [{claim.where}]")
        measured = own[own["p_value"].notna()]
        shown = measured if ids or len(measured) <= 1 else claims.weakest(measured, claim).to_frame().T
        for r in shown.itertuples():
            which = "weakest: " if len(shown) < len(measured) else ""
            click.echo(
                f"    {which}{r.metric}, {r.more} - {r.less}: {r.difference:+.2f} [{r.ci_low:+.2f}, {r.ci_high:+.2f}], "
                f"p {r.p_value:.2g}{_corrected(r.p_holm)}, n={r.n:.0f}: {r.comparison}"
            )
        if len(measured) < len(own):
            lacking = own[own["p_value"].isna()].iloc[0]
            click.echo(f"    not run: {len(own) - len(measured)} of {len(own)}, such as {lacking['more']} - {lacking['less']}")
    count = frame.drop_duplicates("claim")["verdict"].value_counts()
    click.echo()
    printing.table([(v, int(count.get(v, 0))) for v in claims.VERDICTS], ("verdict", "claims"))
    for run in sorted(frame["run"].dropna().unique()):
        made, n = records.load(Path(run)), frame[frame["run"] == run]["n"]
        click.echo(f"{run}: {made['model']} on {made['dataset']['name']}, protocol {made['protocol']['name']}, {printing.counted(n)}")
    click.echo(f"\nwrote {out / 'claims.csv'}")


def _corrected(p_holm: float | None) -> str:
    """Of claims of equality the interval decides, and nothing is corrected."""
    return "" if p_holm is None or p_holm != p_holm else f", corrected {p_holm:.2g}"
