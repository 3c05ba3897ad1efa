"""`camx report`: what it writes, what it says of runs that are gone, and the page in a browser."""

import re
import shutil

import pandas as pd
import pytest

from camx.evaluators import records

WORDS = "--protocol single --limit 8 --method layercam --method gradcam --layer S5 --layer S4"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
AXE = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A run of localization, one of occlusion curves and one of defects, eight images each."""
    return tmp_path_factory.mktemp("report")


@pytest.fixture
def measured(results, camx):
    """The runs, measured once; the tables and the page of them."""
    if not (results / "report/index.html").is_file():
        camx("localize", *WORDS.split(), "--out", results / "localize", "--no-summary")
        curve = "--metric deletion --protocol single --limit 6 --set steps=10 --no-summary --out"
        camx("occlude", *curve.split(), results / "deletion")
        defects = "--limit 4 --iterations 2 --no-summary --out"
        camx("defects", *defects.split(), results / "defects")
        camx("tables", "--runs", results, "--out", results / "tables")
        camx("report", "--runs", results, "--out", results / "report", "--images", "6")
    return results


@pytest.mark.slow
def test_without_runs_nothing_is_written(camx, tmp_path):
    done = camx("report", "--runs", "results", code=1)
    assert done.stderr.splitlines() == ["error: results: no such folder of runs"]
    (tmp_path / "results").mkdir()
    done = camx("report", code=1)
    assert "no run below results" in done.stderr
    assert not (tmp_path / "results/report").exists()


@pytest.mark.slow
def test_a_run_whose_data_are_gone_is_reported_without_pictures(measured, camx, tmp_path):
    """And says why; the numbers are there as they were."""
    shutil.copytree(measured / "localize", tmp_path / "runs/localize")
    described = tmp_path / "runs/localize/run.json"
    moved = re.sub(r'"(data|root)": "[^"]+"', r'"\1": "/nowhere"', described.read_text())
    described.write_text(moved)
    done = camx("report", "--runs", "runs", "--out", "page")
    lines = done.stderr.splitlines()
    assert all(line.startswith("not shown: ") and "/nowhere" in line for line in lines)
    assert sum("The gallery and the cost of maps" in line for line in lines) == 1
    html = (tmp_path / "page/index.html").read_text()
    assert "/nowhere: no such data folder" in html
    assert 'id="gallery"' not in html
    assert 'data-key="I|LayerCAM|loc1|S5"' in html


@pytest.mark.slow
def test_the_page_is_one_small_file(measured):
    folder = measured / "report"
    assert [path.name for path in folder.iterdir()] == ["index.html"]
    assert (folder / "index.html").stat().st_size < 5e6


@pytest.fixture
def browser():
    """A real Chromium without a window."""
    if not CHROMIUM:
        pytest.skip("no Chromium here (apt-get install chromium): the page is not looked at")
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser, measured):
    """Open the page; whatever the browser complains of fails the test."""
    complaints = []

    def open_page(viewport=WIDE, scheme="light"):
        context = browser.new_context(viewport=viewport, color_scheme=scheme)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda asked: complaints.append(asked.url) if asked.url.startswith("http") else None,
        )
        page.goto((measured / "report/index.html").as_uri())
        return page

    yield open_page
    assert complaints == []


@pytest.mark.slow
def test_numbers_in_the_page_are_those_of_cells_csv(opened, measured):
    cells = pd.read_csv(measured / "tables/cells.csv", keep_default_na=False, dtype=str)
    page, seen = opened(), 0
    told = page.evaluate("""() => [...document.querySelectorAll('td[data-key]')].map(cell => ({
        key: cell.dataset.key,
        ...Object.fromEntries(['value', 'paper', 'delta', 'interval'].map(
            name => [name, cell.querySelector('.' + name)?.innerText]))}))""")
    told = {cell["key"]: cell for cell in told}
    for row in cells.to_dict("records"):
        cell = told.get("|".join(row[key] for key in ("table", "row", "metric", "column")))
        if cell is None or not row["measured"]:
            continue
        seen += 1
        assert float(cell["value"]) == pytest.approx(float(row["measured"]), abs=0.0051)
        if row["paper"]:
            assert cell["paper"].split()[0] == f"{float(row['paper']):.2f}"
            assert float(cell["delta"]) == pytest.approx(float(row["delta"]), abs=0.0051)
        if cell["interval"]:
            low, high = map(float, re.findall(r"[\d.]+", cell["interval"]))
            assert (low, high) == pytest.approx(
                (float(row["ci_low"]), float(row["ci_high"])), abs=0.0051
            )
    assert seen >= 8
    places = cells[["table", "row", "metric", "column"]].agg("|".join, axis=1)
    shown = {key for key, cell in told.items() if cell["value"] and key[:2] in ("I|", "VI")}
    assert shown
    assert shown <= set(places)


@pytest.mark.slow
def test_filters_show_what_they_say(opened):
    page = opened()
    items = page.locator(".item")
    total = items.count()
    assert total == 6
    outcome = items.first.get_attribute("data-outcome")
    page.select_option("#by-outcome", outcome)
    same = page.locator(f'.item[data-outcome="{outcome}"]').count()
    assert page.locator(".item:visible").count() == same
    assert page.inner_text("#count").startswith(f"{same} image")
    page.select_option("#by-outcome", "")
    name = items.first.get_attribute("data-class")
    page.select_option("#by-class", name)
    assert (
        page.locator(".item:visible").count() == page.locator(f'.item[data-class="{name}"]').count()
    )
    page.select_option("#by-class", "")
    page.select_option("#by-method", "layercam")
    assert page.locator('.shot[data-method="gradcam"]:visible').count() == 0
    page.select_option("#by-outcome", "found")
    found = page.locator('.shot[data-method="layercam"][data-found="true"]').count()
    assert page.locator(".item:visible").count() == found
    page.select_option("#by-outcome", "missed")
    assert page.locator(".item:visible").count() == total - found


@pytest.mark.slow
def test_the_gallery_is_walked_by_keys(opened):
    page = opened()
    page.locator("#by-outcome").focus()
    page.keyboard.press("Tab")
    place = "[...document.querySelectorAll('.shot')].indexOf(document.activeElement)"
    assert page.evaluate(place) == 0
    page.keyboard.press("ArrowRight")
    assert page.evaluate(place) == 1
    page.keyboard.press("ArrowDown")
    assert page.evaluate(place) == 3  # the image and two maps a row
    page.keyboard.press("Enter")
    assert page.locator("dialog[open] img").count() == 1
    before = page.inner_text("#large-words")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#large-words") != before
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    assert page.evaluate(place) == 4


@pytest.mark.slow
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_nothing_is_broken_or_cut_off(opened, viewport):
    page = opened(viewport)
    broken = "[...document.images].filter(i => !(i.complete && i.naturalWidth)).length"
    assert page.evaluate("document.images.length") >= 18
    assert page.evaluate(broken) == 0
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) == 0
    assert page.locator("#plot-overlap > svg .line").count() == 2
    assert page.locator("#plot-deletion > svg .line").count() == 3
    assert page.locator("section[aria-labelledby=figures] img").count() == 7  # no masks for 9


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_and_names_are_accessible(opened, scheme):
    """axe-core's rules of WCAG 2.1 AA, in the system's scheme and turned by the button."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(scheme=scheme)
    for _ in range(2):
        for details in page.locator("details").all():
            details.evaluate("d => { d.open = true }")
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"
        assert dark == (scheme == "dark")
        found = (
            page.evaluate("tags => axe.run(document, {runOnly: tags})", AXE)
            if page.evaluate("!!window.axe")
            else axe.run(page, options={"runOnly": AXE}).response
        )
        faults = [(v["id"], [n["html"][:90] for n in v["nodes"][:3]]) for v in found["violations"]]
        assert faults == []
        page.click("#theme")
        scheme = "light" if scheme == "dark" else "dark"


@pytest.mark.slow
def test_true_and_predicted_boxes_differ_in_style_and_colour(opened):
    page = opened()
    style = """name => {
        const style = getComputedStyle(document.querySelector('rect.' + name))
        return [style.stroke, style.strokeDasharray]
    }"""
    true, ours = (page.evaluate(style, name) for name in ("true", "ours"))
    assert true == ["rgb(255, 255, 255)", "5px, 4px"]
    assert ours == ["rgb(0, 180, 255)", "none"]


@pytest.mark.slow
def test_the_gallery_s_boxes_are_those_recorded(opened, measured):
    frame = records.read(measured / "localize").set_index("image_id")
    told = opened().evaluate("""() => [...document.querySelectorAll('[data-found]')].map(shot => {
        const box = shot.querySelector('rect.ours'), sides = ['x', 'y', 'width', 'height']
        return {
            image: shot.closest('.item').querySelector('small').innerText,
            method: shot.dataset.method, words: shot.querySelector('.words').innerText,
            box: sides.map(name => +box.getAttribute(name)),
        }
    })""")
    assert len(told) == 12
    for shot in told:
        rows = frame.loc[shot["image"]]
        layer = shot["words"].split(":")[0].split()[-1]
        (row,) = rows[(rows["method"] == shot["method"]) & (rows["layer"] == layer)].to_dict(
            "records"
        )
        size = row["x1"] - row["x0"], row["y1"] - row["y0"]
        assert shot["box"] == [row["x0"], row["y0"], *size]
        assert shot["words"].endswith(f"IoU {row['iou']:.2f}")


@pytest.mark.slow
def test_downloads_are_the_tables(opened, measured):
    page = opened()
    with page.expect_download() as download:
        page.click('.downloads a[download="cells.csv"]')
    ours, theirs = pd.read_csv(download.value.path()), pd.read_csv(measured / "tables/cells.csv")
    pd.testing.assert_frame_equal(ours, theirs)
