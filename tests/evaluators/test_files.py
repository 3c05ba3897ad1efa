"""Files written whole or not at all, and text read in one way."""

import hashlib
import json
import os
import threading
from pathlib import Path

import pytest

from camx.evaluators import files


def test_a_folder_is_made_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "a/b/c.txt"
    files.write_text(path, "grün\n")
    assert path.read_bytes() == "grün\n".encode()
    files.write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("begun", [False, True])
def test_a_writer_that_raises_leaves_the_old_file(tmp_path, begun):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write(temporary):
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
        assert temporary.name.endswith(".tmp")
        if begun:
            temporary.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_whole(path, write)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_never_sees_a_part(tmp_path):
    """The file is the old one until the writer is done."""
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write(temporary):
        temporary.write_text("new")
        assert path.read_text() == "old"

    files.write_whole(path, write)
    assert path.read_text() == "new"


def test_two_writers_at_once_leave_one_whole_file(tmp_path):
    path, both, names = tmp_path / "a.txt", threading.Barrier(2, timeout=600), []

    def write(content):
        def fill(temporary: Path):
            names.append(temporary)
            with temporary.open("w") as file:
                for letter in content:
                    file.write(letter)
                    file.flush()
                    both.wait()

        files.write_whole(path, fill)

    threads = [threading.Thread(target=write, args=(letter * 40,)) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in ("a" * 40, "b" * 40)
    assert len(set(names)) == 2
    assert list(tmp_path.iterdir()) == [path]


def test_what_json_does_not_know_is_written_as_text(tmp_path):
    files.write_json(tmp_path / "a.json", {"path": Path("x/y"), "n": 1})
    assert json.loads((tmp_path / "a.json").read_text()) == {"path": "x/y", "n": 1}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_text_is_utf_8_with_or_without_a_mark(tmp_path, encoding):
    (tmp_path / "a.txt").write_text("grün\n", encoding)
    assert files.read_text(tmp_path / "a.txt") == "grün\n"


def test_other_text_is_named(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("grün\n", "latin-1")
    with pytest.raises(ValueError, match=r"a\.txt: not a list in UTF-8: .*0xfc") as refused:
        files.read_text(path, "list")
    assert "\n" not in str(refused.value)
    for missing in (tmp_path / "b.txt", tmp_path):
        with pytest.raises(FileNotFoundError, match=rf"{missing}: no such list"):
            files.read_text(missing, "list")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32-le"])
def test_wide_text_is_named(tmp_path, encoding):
    (tmp_path / "a.txt").write_text("one\ntwo\n", encoding)
    with pytest.raises(ValueError, match=r"a\.txt: not a list in UTF-8: it .*UTF-16.*as UTF-8"):
        files.read_lines(tmp_path / "a.txt")


def test_lines_end_as_anywhere_and_only_there(tmp_path):
    """Not at what Python takes for a line's end: a form feed, a group separator, U+2028."""
    names = ["a\x0cb", "c\x1dd", "e\u2028f", "g\x85h", "i"]
    for end in ("\n", "\r\n", "\r"):
        (tmp_path / "a.txt").write_text(end.join(names), "utf-8-sig", newline="")
        assert files.read_lines(tmp_path / "a.txt") == list(enumerate(names, 1))


def test_marks_inside_are_those_of_joined_files(tmp_path):
    (tmp_path / "a.txt").write_text("\ufeffone\n\ufefftwo\n\ufeff\n", "utf-8")
    assert files.read_lines(tmp_path / "a.txt") == [(1, "one"), (2, "two")]


def test_columns_of_a_csv_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('\ufeffb, a ,c\r\n1,"2,\r\n3", x\r\n\r\n,,\r\n4,5,6,,\r\n', "utf-8", newline="")
    assert files.read_csv(path, ("a", "b"), "table") == [(3, ["2,\n3", "1"]), (6, ["5", "4"])]
    with pytest.raises(ValueError, match=r"a\.csv: column 'd' is missing; expected a,d$"):
        files.read_csv(path, ("a", "d"), "table")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_no_file_is_never_opened(tmp_path):
    """A pipe would wait for ever."""
    pipe, gone = tmp_path / "a.png", tmp_path / "b.png"
    os.mkfifo(pipe)
    gone.symlink_to(tmp_path / "nothing")
    for path, what in [
        (pipe, "but a named pipe; expected a file"),
        (gone, "but a link to nothing"),
        (tmp_path, "but a folder"),
        (Path("/dev/null"), "but a device"),
        (tmp_path / "c.png", ""),
        (pipe / "d.png", ""),
    ]:
        for read in (files.read_text, files.regular, lambda p: files.read_xml(p, "text file")):
            with pytest.raises(FileNotFoundError, match=rf"{path}: no such .*{what}"):
                read(path)
    for path in (pipe, gone):
        with pytest.raises(FileNotFoundError, match=r"\.png: no such picture, but"):
            files.listing(tmp_path, (".png",), "picture")
        path.unlink()
    assert files.listing(tmp_path, (".png",), "picture") == []


def test_a_listing_is_of_visible_files(tmp_path):
    for name in ("b.PNG", "a.png", "._a.png", ".png", ".DS_Store", "Thumbs.db", "c.txt", "d"):
        (tmp_path / name).write_text("")
    (tmp_path / "e.png").symlink_to(tmp_path / "a.png")
    assert [p.name for p in files.listing(tmp_path, (".png",))] == ["a.png", "b.PNG", "e.png"]
    assert files.listing(tmp_path / "nowhere", (".png",)) == []
    (tmp_path / "f.png").mkdir()
    with pytest.raises(FileNotFoundError, match=r"f\.png: no such file, but a folder"):
        files.listing(tmp_path, (".png",))


def test_folders_in_any_case(tmp_path):
    for name in ("Val/A", "VAL/a", ".val/a", "__MACOSX/a"):
        (tmp_path / name).mkdir(parents=True)
    assert [p.name for p in files.folders(tmp_path, "val")] == ["VAL", "Val"]
    assert files.below(tmp_path, "val/A") == [tmp_path / "VAL/a", tmp_path / "Val/A"]
    assert [p.name for p in files.folders(tmp_path)] == ["VAL", "Val"]


def test_lines_keep_their_numbers(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf one \r\n\r\n  \nfour")
    assert files.read_lines(tmp_path / "a.txt") == [(1, "one"), (4, "four")]


def test_broken_yaml_is_one_line():
    assert files.parse_yaml("a: [1, 2]", "mine.yaml") == {"a": [1, 2]}
    with pytest.raises(ValueError, match=r"mine\.yaml: not YAML: .*line 2") as refused:
        files.parse_yaml("a: [1,\n b: }", "mine.yaml")
    assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match="not YAML"):
        files.parse_yaml("!!python/object/apply:os.getcwd []", "mine.yaml")


def test_a_digest_is_that_of_the_whole():
    assert files.digest([b"ab", b"", b"c"]) == hashlib.sha256(b"abc").hexdigest()
