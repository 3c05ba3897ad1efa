"""What docstrings and comments cite of docs/ exists there, and docs/protocol.md has every protocol
field, recipe default and constant with the value that the code has.
"""

import configparser
import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import pytest
import yaml

from camx.evaluators.tasks.localize import recipe as wsol

ROOT = Path(__file__).parents[1]
NETWORKS = ROOT / "docs" / "networks.md"
FOLDERS = ("camx", "cli", "camcore", "evaluators", "configs")
FILES = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".yaml", ".txt")
)
FORM = 'docs/PAGE.md, section 1, "Name" and "Name"'
MENTION = re.compile(r"[\w./-]*\w\.md\b")
CITATION = re.compile(
    r'docs/([\w-]+\.md)(?:, section (\d+)\b(?:, ("[^"]+"(?: and "[^"]+")*))?)?'
    r'(?!`*,? *(?:and )?(?:"|section))'  # more that looks cited, in another form
)
SECTIONS = {
    None: "1", "localize": "1", "score": "1", "occlude": "2", "sanity": "2", "defects": "3",
    "pseudo": "4",
}  # fmt: skip
RECIPES = {
    "defects": ("3", "train defects"),
    "pseudo": ("4", "train voc"),
    "segment": ("4", "segment train"),
}


def flat(text):
    """One line, without the marks of comments, so that a citation may wrap."""
    return re.sub(r"\s*\n\s*(?:# ?)?", " ", text)


def sections(page):
    """``{number: text}`` of the headings ``## 1. Title``."""
    parts = re.split(r"^## (\d+)\. .*$", page, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def paragraphs(section):
    return {name.rstrip(".") for name in re.findall(r"^\*\*(.+?)\*\*", section, re.M)}


def faults(text, docs):
    """What a text cites and the folder `docs` does not hold, in words."""
    text, found = flat(text), []
    for mention in MENTION.finditer(text):
        cited = CITATION.match(text, mention.start())
        if not cited:
            found.append(f"{text[mention.start() :][:60]!r} is not of the form {FORM}")
            continue
        page, number, names = cited.groups()
        if not (docs / page).is_file():
            found.append(f"there is no docs/{page}")
            continue
        known = sections((docs / page).read_text())
        if number and number not in known:
            found.append(f"docs/{page} has no section {number}")
        for name in re.findall(r'"(.+?)"', names or ""):
            if number in known and name not in paragraphs(known[number]):
                found.append(f"docs/{page}, section {number} has no paragraph {name!r}")
    return found


def tables(section):
    """``{head of the first column: {first cell: second cell}}`` of a section's tables."""
    found, head = {}, ""
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            head = ""
        elif not head:
            head = cells[0].strip("`")
        elif not cells[0].startswith("---"):
            found.setdefault(head, {})[cells[0]] = cells[1]
    return found


def plain(value):
    """A value as YAML has it: tuples are lists."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value


def read(cell):
    """What a table's cell says: a number, a fraction such as 2/3, or YAML."""
    text = cell.strip("`")
    if re.fullmatch(r"\d+/\d+", text):
        return int(text.partition("/")[0]) / int(text.partition("/")[2])
    try:
        return float(text)
    except ValueError:
        return yaml.safe_load(text)


def differences(values, rows):
    """Where a page's rows differ from the code's values, either way."""
    wrong = [f"{name}: not on the page" for name in values if f"`{name}`" not in rows]
    wrong += [f"{row}: not in the code" for row in rows if row.strip("`") not in values]
    return wrong + [
        f"{name} is {plain(value)!r}, on the page {rows[f'`{name}`']}"
        for name, value in values.items()
        if f"`{name}`" in rows and read(rows[f"`{name}`"]) != plain(value)
    ]


def protocol(command, content):
    """The fields of a command's section of a protocol file; None: those of every command."""
    fields = content[command] if command else content
    return {key: value for key, value in fields.items() if command or key not in SECTIONS}


def recipe(task):
    kind = importlib.import_module(f"camx.evaluators.tasks.{task}.trainer").Recipe
    return {name: p.default for name, p in inspect.signature(kind).parameters.items()}


def constant(path):
    """The value of ``camcore.fusion.EPSILON``, or the default of ``module.function(argument)``."""
    name, _, argument = path.rstrip(")").partition("(")
    words, value = f"camx.{name}".split("."), None
    for count in range(len(words), 0, -1):  # the longest part that is a module
        try:
            value = importlib.import_module(".".join(words[:count]))
            break
        except ModuleNotFoundError:
            continue
    for word in words[count:]:
        value = getattr(value, word)
    return inspect.signature(value).parameters[argument].default if argument else value


@pytest.fixture(scope="module")
def page():
    return sections((ROOT / "docs/protocol.md").read_text())


@pytest.fixture(scope="module")
def paper():
    return yaml.safe_load((ROOT / "configs/protocols/paper.yaml").read_text())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_cited_exists(path):
    assert faults(path.read_text(), ROOT / "docs") == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("no page", 0),
        ("see docs/protocol.md.", 0),
        ("(docs/protocol.md, section 2)", 0),
        ('docs/protocol.md, section 1, "Box" and\n    # "IoU".', 0),
        ("see protocol.md", 1),
        ("see protocol.md, section 1", 1),
        ("docs/nowhere.md", 1),
        ("docs/protocol.md, section 9", 1),
        ('docs/protocol.md, section 1, "Boxes" and "IoUs"', 2),
        ('docs/protocol.md, section 2, "Box"', 1),
        ('docs/protocol.md, "Box"', 1),
        ("docs/protocol.md section 1", 1),
        ('docs/protocol.md, section 1 "Box"', 1),
        ("docs/protocol.md, section 1 and section 2", 1),
    ],
)
def test_a_wrong_citation_is_found(text, count):
    assert len(faults(text, ROOT / "docs")) == count


@pytest.mark.parametrize(
    ("old", "new"), [("**Box.**", "**Boxes.**"), ("## 1. ", "## 7. "), ("**Box.**", "Box.")]
)
def test_a_citation_of_what_the_page_has_lost_is_found(tmp_path, old, new):
    text = (ROOT / "docs/protocol.md").read_text()
    assert old in text
    (tmp_path / "protocol.md").write_text(text.replace(old, new))
    assert len(faults('docs/protocol.md, section 1, "Box"', tmp_path)) == 1


@pytest.mark.parametrize("command", SECTIONS)
def test_every_protocol_field_is_explained(command, page, paper):
    rows = tables(page[SECTIONS[command]])[command or "every command"]
    assert differences(protocol(command, paper), rows) == []


def test_every_command_of_the_protocol_is_looked_at(paper):
    assert {key for key, value in paper.items() if isinstance(value, dict)} == {*SECTIONS} - {None}


@pytest.mark.parametrize("task", RECIPES)
def test_every_recipe_default_is_explained(task, page):
    section, table = RECIPES[task]
    assert differences(recipe(task), tables(page[section])[table]) == []


def test_every_trainer_s_recipe_is_looked_at():
    trainers = {path.parent.name for path in (ROOT / "evaluators/tasks").glob("*/trainer.py")}
    assert trainers == {*RECIPES, "localize"}


@pytest.mark.parametrize("network", [n for n in wsol.names() if not n.startswith("mini")])
def test_every_recipe_file_is_explained(network, page):
    table = page["1"].partition("| `train wsol` ")[2].partition("\n\n")[0]
    heads, _, *rows = [[c.strip() for c in line.split("|")[1:-1]] for line in table.splitlines()]
    column = 1 + heads.index(f"`{network}`")
    assert differences(vars(wsol.load(network)), {row[0]: row[column] for row in rows}) == []


def test_every_constant_on_the_page_is_the_code_s(page):
    found = [rows for part in page.values() for rows in [tables(part).get("constant", {})]]
    paths = [row.strip("`") for rows in found for row in rows]
    assert len(paths) > 15
    rows = {row: cell for rows in found for row, cell in rows.items()}
    assert differences({path: constant(path) for path in paths}, rows) == []


def test_a_changed_value_or_name_is_found(page):
    rows = tables(page["1"])["localize"]
    values = {name.strip("`"): read(cell) for name, cell in rows.items()}
    assert differences(values, rows) == []
    assert len(differences({**values, "threshold": 0.2}, rows)) == 1
    assert len(differences({**values, "grabcut": ("S3", "S2", "S1")}, rows)) == 1
    assert len(differences({**values, "new": 1}, rows)) == 1
    assert len(differences({k: v for k, v in values.items() if k != "box"}, rows)) == 1


def networks_told():
    """The rows of the table of networks."""
    rows = re.findall(r"^\| ((?:torchvision|timm):\S+) \|.*$", NETWORKS.read_text(), re.M)
    return sorted(rows)


@pytest.mark.slow
@pytest.mark.parametrize("name", networks_told()[::4])
def test_networks_have_the_layers_that_are_told(name):
    """A quarter of them, line by line as scripts/survey_networks.py makes it."""
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    spec = importlib.util.spec_from_file_location("survey", ROOT / "scripts/survey_networks.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.line(name) in NETWORKS.read_text().splitlines()
    assert set(script.NETWORKS) == set(networks_told())


def unknown(section):
    """``(field, table)`` of the fields that a section of docs/protocol.md calls unknown."""
    head = ""
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and not head:
            head = cells[0].strip("`")
        elif line.startswith("|") and "unknown" in cells[-1]:
            yield cells[0].strip("`"), head
        elif not line.startswith("|"):
            head = ""


def test_every_unknown_field_is_listed_with_its_default(page):
    text = (ROOT / "docs/unknown.md").read_text()
    listed = {
        (field, of.strip("`")): default.split("`")[1]
        for field, of, default in re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|", text, re.M)
    }
    told = {
        (field, of): tables(section)[of][f"`{field}`"].strip("`")
        for section in page.values()
        for field, of in unknown(section)
    }
    assert len(told) > 10
    assert {key: value.split(":")[0] for key, value in listed.items()} == told


def test_the_citation_is_whole_and_of_this_version():
    """CITATION.cff by what version 1.2.0 of its schema requires, and the paper's facts."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert cited["cff-version"] == "1.2.0"
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    assert str(cited["version"]) == settings["metadata"]["version"]
    (paper,) = cited["references"]
    assert {"type", "title", "authors"} <= set(paper)
    assert paper["doi"] == "10.1109/TIP.2021.3089943"
    assert [author["family-names"] for author in paper["authors"]][::4] == ["Jiang", "Wei"]
    title = re.search(r"\*(LayerCAM: .*?)\*", (ROOT / "docs/protocol.md").read_text())[1]
    assert paper["title"] == title


def test_every_page_is_in_the_site():
    nav = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M)
    assert sorted(nav) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))
