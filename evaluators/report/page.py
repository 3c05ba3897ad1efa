"""The page itself: one HTML file that holds all it shows and asks nobody for anything."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import jinja2

from camx.evaluators.records import Run
from camx.evaluators.report.gallery import Gallery
from camx.evaluators.report.numbers import Section
from camx.evaluators.report.plots import Plot

_FOLDER = resources.files("camx.configs") / "report"


@dataclass(frozen=True)
class Picture:
    """A figure: its title, what it shows, and itself as a data URI."""

    title: str
    caption: str
    source: str


@dataclass(frozen=True)
class Page:
    """All that the page shows; what could not be shown is said in `lacking`."""

    title: str
    about: str
    tables: Sequence[Section]
    claims: Sequence[Mapping[str, Any]]
    verdicts: Mapping[str, int]
    plots: Sequence[Plot]
    gallery: Gallery | None
    pictures: Sequence[Picture]
    runs: Sequence[Mapping[str, Any]]
    files: Mapping[str, str]  # CSV by name
    lacking: Sequence[str] = field(default_factory=tuple)


def rendered(page: Page) -> str:
    """The page as HTML, every word of the records escaped."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        loader=jinja2.FunctionLoader(lambda name: (_FOLDER / name).read_text("utf-8")),
    )  # fmt: skip
    environment.filters |= {"number": number, "interval": interval, "signed": signed}
    style, script = ((_FOLDER / name).read_text("utf-8") for name in ("page.css", "page.js"))
    downloads = {name: _uri(text) for name, text in page.files.items()}
    return environment.get_template("page.html.j2").render(
        page=page, style=jinja2.utils.markupsafe.Markup(style),
        script=jinja2.utils.markupsafe.Markup(script), policy=policy(style, script),
        downloads=downloads,
    )  # fmt: skip


def policy(style: str, script: str) -> str:
    """The content security policy: this style, this script, pictures within the page, no more."""
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
        for text in (style, script)
    )
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{style_hash}'; "
        f"script-src 'sha256-{script_hash}'; base-uri 'none'; form-action 'none'"
    )


def _uri(text: str) -> str:
    return "data:text/csv;charset=utf-8;base64," + base64.b64encode(text.encode()).decode("ascii")


def number(value: float) -> str:
    """As tables print it."""
    return f"{value:.2f}"


def signed(value: float) -> str:
    return f"{value:+.2f}"


def interval(low: float, high: float) -> str:
    return f"[{low:.2f}, {high:.2f}]"


def described(run: Run) -> dict[str, Any]:
    """What the page says of a run: its commands, protocol, versions and where it was measured."""
    calls = [
        {
            "command": " ".join(["camx", *map(str, call.get("command_line") or [run.command])]),
            "start": str(call["start"])[:19].replace("T", " "),
            "device": call.get("device", ""),
            "counts": ", ".join(f"{v} {k.replace('_', ' ')}" for k, v in _counts(call).items()),
            "versions": ", ".join(f"{k} {v}" for k, v in (call.get("versions") or {}).items()),
            "commit": str(call.get("commit") or "")[:12],
        }
        for call in run.invocations
    ]
    identity = {
        "network": run.model or "",
        "weights": run.last.get("weights") or "",
        "weights sha256": run.identity.get("weights_sha256") or "",
        "preprocessing": run.identity.get("preprocessing") or "",
        "data": f"{run.dataset['name']} ({run.kind})",
        "data fingerprint": run.fingerprint[:16],
        "seed": run.identity.get("seed"),
    }
    protocol = {k: v if isinstance(v, str) else json.dumps(v) for k, v in run.protocol.items()}
    return {
        "folder": str(run.folder),
        "about": run.about(),
        "command": run.command,
        "calls": calls,
        "identity": {k: v for k, v in identity.items() if v not in ("", None)},
        "protocol": {k: v for k, v in protocol.items() if v != ""},
    }


def _counts(call: Mapping[str, Any]) -> Mapping[str, Any]:
    return call.get("counts") or {}
