import pytest

from camx.evaluators.pictures import words

LONG = "ILSVRC2012_val_00000057 and some/more-words.png, of a name that is far too long for it"


@pytest.mark.parametrize("inches", [0.3, 0.8, 1.5, 4])
@pytest.mark.parametrize("most", [1, 2, 20])
def test_lines_fit(inches, most):
    lines = words.lines(LONG, inches, 7, "bold", most)
    assert 0 < len(lines) <= most
    assert all(words.width(line, 7, "bold") <= inches for line in lines)
    joined = "".join(lines).replace(" ", "")
    whole = LONG.replace(" ", "")
    if joined != whole:
        assert joined.endswith(words.DOTS)
        assert whole.startswith(joined.removesuffix(words.DOTS))


def test_nothing_is_lost_where_there_is_room():
    assert "".join(words.lines(LONG, 0.8, 7, most=99)).replace(" ", "") == LONG.replace(" ", "")
    assert words.lines("a b", 5, 7) == ["a b"]
    assert words.lines("", 5, 7) == []


def test_names_are_told_by_their_end():
    name = "ILSVRC2012_val_00000057"
    assert words.ending(name, 5, 7) == name
    short = words.ending(name, 0.7, 7)
    assert short.startswith(words.DOTS)
    assert name.endswith(short[1:])
    assert words.width(short, 7) <= 0.7 < words.width(name, 7)


def test_letters_that_the_font_lacks_are_squares():
    assert words.legible("a日ï$") == "a\N{WHITE SQUARE}ï$"
