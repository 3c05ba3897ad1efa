"""Words in a picture: how wide they are, and how they are broken into lines that fit."""

import re
from functools import lru_cache

from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import text_to_path

FAMILY = "DejaVu Sans"  # which comes with Matplotlib
UNKNOWN = "\N{WHITE SQUARE}"  # a letter that it lacks
LEADING = 1.25  # lines apart, of a letter's size
POINTS = 72  # an inch
DOTS = "…"
PIECES = re.compile(r"\s+|[^\s_/\-.,:+=]+[_/\-.,:+=]*|[_/\-.,:+=]+")  # names break after a mark


@lru_cache(maxsize=4096)
def width(text: str, size: float, weight: str = "normal") -> float:
    """How many inches a line of text is wide, its letters `size` points high."""
    font = FontProperties(family=FAMILY, size=size, weight=weight)
    sizes = text_to_path.get_text_width_height_descent(legible(text), font, ismath=False)
    return sizes[0] / POINTS


def legible(text: str) -> str:
    """The text with a square for each letter that the font lacks, as a file's name may hold."""
    return "".join(letter if ord(letter) in _letters() else UNKNOWN for letter in text)


@lru_cache(maxsize=1)
def _letters() -> frozenset[int]:
    """The letters that the font has."""
    return frozenset(get_font(findfont(FontProperties(family=FAMILY))).get_charmap())


def height(lines: int, size: float) -> float:
    """How many inches lines of text are high."""
    return lines * size * LEADING / POINTS


def lines(
    text: str, inches: float, size: float, weight: str = "normal", most: int = 2
) -> list[str]:
    """The text in at most `most` lines that are at most so wide; what does not fit is an ellipsis.

    Broken between words, after the marks inside a name, and within a word only if it must be.
    """
    broken, line = list[str](), ""
    for piece in PIECES.findall(" ".join(text.split())):
        while piece:
            if width(line + piece.rstrip(), size, weight) <= inches:
                line, piece = line + piece, ""
            elif line.strip():
                broken.append(line.strip())
                line, piece = "", piece.lstrip()
            else:
                count = _fitting(piece, inches, size, weight)
                broken.append(piece[:count])
                line, piece = "", piece[count:]
    broken += [line.strip()] if line.strip() else []
    if len(broken) <= most:
        return broken
    last = broken[most - 1]
    while last and width(last + DOTS, size, weight) > inches:
        last = last[:-1]
    return [*broken[: most - 1], last.rstrip() + DOTS]


def ending(text: str, inches: float, size: float) -> str:
    """The text, or as much of its end as fits: names of images differ there."""
    text = " ".join(text.split())
    if width(text, size) <= inches:
        return text
    while text and width(DOTS + text, size) > inches:
        text = text[1:]
    return DOTS + text


def _fitting(word: str, inches: float, size: float, weight: str) -> int:
    """How many letters of a word fit, at least one."""
    count = len(word)
    while count > 1 and width(word[:count], size, weight) > inches:
        count -= 1
    return count
