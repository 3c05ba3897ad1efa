"""The page: nothing in it runs but its own script, and it asks nobody for anything."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from camx.evaluators.report import page, plots
from camx.evaluators.report.gallery import Gallery, Item, Shot
from camx.evaluators.report.numbers import Block, Line, Number, Section
from camx.evaluators.report.page import Page, Picture
from camx.evaluators.tasks import Metric

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'"


@pytest.fixture
def html():
    """A page that says `EVIL` wherever a name or a sentence of somebody's stands."""
    number = Number((EVIL, EVIL, "m", "c"), 46.625, 41.2, 52.0, 10, 43.62, "alike", 0.31)
    block = Block(Metric(EVIL, EVIL), (EVIL,), (Line(EVIL, (number,), EVIL),))
    shot = Shot(EVIL, "data:image/jpeg;base64,", (1, 2, 3, 4), 0.5, EVIL)
    item = Item(EVIL, EVIL, EVIL, False, EVIL, (10, 10), ((1, 1, 5, 5),), (shot,))
    claim = {"id": EVIL, "sentence": EVIL, "where": EVIL, "verdict": EVIL, "held": 0}
    plot = plots.curves(EVIL, EVIL, (EVIL, EVIL), [plots.Curve(EVIL, (0, 1), (0, 1))], EVIL)
    run = {"folder": EVIL, "about": EVIL, "command": EVIL, "identity": {EVIL: EVIL},
           "protocol": {EVIL: EVIL}, "calls": [dict.fromkeys(
               ("command", "start", "device", "counts", "versions", "commit"), EVIL)]}  # fmt: skip
    return page.rendered(Page(
        EVIL, EVIL, [Section(EVIL, EVIL, (block,), (EVIL,), "a.csv")],
        [{**claim, "comparisons": [(EVIL,) * 9]}], {EVIL: 1}, [plot],
        Gallery(EVIL, EVIL, {EVIL: EVIL}, (item,), {EVIL: 1}),
        [Picture(EVIL, EVIL, "data:image/webp;base64,")], [run],
        {"a.csv": "x,y\n", "claims.csv": ""}, [EVIL],
    ))  # fmt: skip


def test_what_somebody_named_is_text(html):
    assert "alert(1)" in html
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append((tag, dict(attributes)))
    parser.feed(html)
    assert len(tags) > 100
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
    assert html.count("<script>") == html.count("</script>") == 1


def test_the_policy_allows_the_page_s_own_style_and_script_alone(html):
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)[1]
    policy = policy.replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.S)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert " style=" not in html  # which the policy would not allow


def test_the_page_points_nowhere_else(html):
    targets = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert targets
    assert all(target.startswith(("#", "data:")) for target in targets)
    assert "http" not in re.sub(r"http-equiv", "", html)


def test_a_number_stands_with_all_that_is_known_of_it(html):
    cell = re.search(r'<td class="alike".*?</td>', html, re.S)[0]
    assert ">46.62<" in cell or ">46.63<" in cell  # a half is rounded to even, as Python does
    assert "[41.20, 52.00]" in cell
    assert re.search(r"43\.62.*\+3\.0[01]", cell, re.S)
    assert "p = 0.31" in cell
