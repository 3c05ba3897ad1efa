"""What a mistyped name was perhaps meant to be."""

import difflib
from collections.abc import Iterable


def near(word: object, names: Iterable[str]) -> str:
    """``. Did you mean 'layercam'?`` to end a message with, if a name is like the word."""
    by_form = {name.lower(): name for name in names}
    close = difflib.get_close_matches(str(word).lower(), by_form, 1)
    return f". Did you mean {by_form[close[0]]!r}?" if close else ""
