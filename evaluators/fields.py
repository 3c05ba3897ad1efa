"""Fields say what they accept: bounds, choices, help and source stand beside a dataclass's field.

Validation, ``--set``, the options of a command and ``camx list protocols`` all come from here. A
field declared without one of these functions accepts what its annotation says.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from camx.camcore.suggestions import near

if TYPE_CHECKING:
    from typing_extensions import Unpack


@dataclass(frozen=True)
class Accepts:
    """What a field takes: values of `type` for which `test` holds, several of them if `many`.

    `words` say so to people, and `choices` are the values if they can be listed.
    """

    type: type
    words: str
    test: Callable[[Any], bool] = lambda value: True
    many: bool = False
    choices: tuple[str, ...] = ()

    def one(self, value: Any) -> Any:
        """A single value as the field holds it. `ValueError` saying what is accepted."""
        kinds = {float: (int, float), Path: (str, Path)}.get(self.type, self.type)
        number = self.type in (int, float)
        strange = not isinstance(value, kinds) or (number and not finite(value))
        if strange or not self.test(value):
            raise ValueError(f"accepted: {self.words}")
        return self.type(value)

    def read(self, value: Any) -> Any:
        """A value, or a list of them for a field of many, as the field holds it."""
        if not self.many:
            return self.one(value)
        return tuple(map(self.one, value if isinstance(value, list | tuple) else [value]))

    def parse(self, text: str) -> Any:
        """A single value from the command line's words."""
        try:
            return self.one(self.type(text))
        except ValueError:
            raise ValueError(f"{text!r} is not accepted; accepted: {self.words}") from None


class About(TypedDict, total=False):
    """What stands beside a field besides what it accepts; `option` names it on the command line.

    `names` says what it names: ``layers`` of the network, ``methods``, or another word that a TAB
    completes (`cli.completion`). `alone` is what its option says without a word behind it,
    `argument` the name of words that need no option before them.
    """

    default: Any
    help: str
    source: str
    option: str
    metavar: str
    names: str
    alone: str
    argument: str


def finite(value: Any) -> bool:
    """Whether a value of a file is a finite number; true and false are none."""
    try:
        return isinstance(value, int | float) and type(value) is not bool and math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def _field(accepts: Accepts, about: About) -> Any:
    default = about.get("default", MISSING)
    return dataclasses.field(default=default, metadata={"accepts": accepts, **about})


def _interval(
    low: float, high: float, above: bool, below: bool
) -> tuple[str, Callable[[Any], bool]]:
    """How bounds are said, and their test; `above` and `below` leave the bound itself out."""
    words = [f"above {low:g}" if above else f"from {low:g}"] if low > -math.inf else []
    words += [f"below {high:g}" if below else f"{high:g}"] if high < math.inf else []

    def test(value: float) -> bool:
        enough = value > low if above else value >= low
        return enough and (value < high if below else value <= high)

    return " to ".join(words), test


def number(
    low: float = -math.inf,
    high: float = math.inf,
    *,
    above: bool = False,
    below: bool = False,
    many: str = "",
    **about: "Unpack[About]",
) -> Any:
    """A finite number; with `many`, an example of such, a list of them."""
    words, test = _interval(low, high, above, below)
    words = f"numbers {words}, such as {many}" if many else f"a number {words}"
    return _field(Accepts(float, words.strip(), test, bool(many)), about)


def whole(
    low: float = -math.inf, high: float = math.inf, *, many: str = "", **about: "Unpack[About]"
) -> Any:
    """A whole number; with `many`, an example of such, a list of them."""
    words, test = _interval(low, high, False, False)
    words = f"whole numbers {words}, such as {many}" if many else f"a whole number {words}"
    return _field(Accepts(int, words.strip(), test, bool(many)), about)


def choice(*accepted: str, **about: "Unpack[About]") -> Any:
    """One of a few words."""
    words = ", ".join(word or "nothing" for word in accepted)
    return _field(Accepts(str, words, lambda word: word in accepted, choices=accepted), about)


def text(*, many: str = "", **about: "Unpack[About]") -> Any:
    """Any words; with `many`, an example of such, a list of them."""
    words = f"a list of names, such as {many}" if many else "a text"
    return _field(Accepts(str, words, many=bool(many)), about)


def flag(**about: "Unpack[About]") -> Any:
    """Yes or no; no unless a default is given."""
    return _field(Accepts(bool, "true, false"), {"default": False, **about})


def path(**about: "Unpack[About]") -> Any:
    """A file or folder, there already or not."""
    return _field(Accepts(Path, "a path"), about)


def accepts(field: "dataclasses.Field[Any]", annotation: Any) -> Accepts:
    """What a field accepts: as declared, or as its annotation says."""
    if "accepts" in field.metadata:
        return field.metadata["accepts"]
    if typing.get_origin(annotation) is tuple:
        inner = typing.get_args(annotation)[0]
        words = f"a list of {inner.__name__}"
        return dataclasses.replace(accepts(field, inner), words=words, many=True)
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        annotation = next(a for a in typing.get_args(annotation) if a is not type(None))
    plain = {int: "a whole number", float: "a number", bool: "true, false", Path: "a path"}
    if annotation in plain:
        return Accepts(annotation, plain[annotation])
    return Accepts(str, "a text")


def of(kind: type) -> dict[str, Accepts]:
    """What each field of a dataclass accepts, by name."""
    hints = typing.get_type_hints(kind)
    return {field.name: accepts(field, hints[field.name]) for field in dataclasses.fields(kind)}


def defaults(kind: type) -> dict[str, Any]:
    """The default of each field of a dataclass that has one."""
    pairs = {field.name: field.default for field in dataclasses.fields(kind)}
    return {name: value for name, value in pairs.items() if value is not MISSING}


def unknown(names: Iterable[str], kind: type, origin: str, whose: str = "") -> None:
    """Raise `ValueError` for the first name that is no field of `kind`, `whose` it would be."""
    fields = {field.name for field in dataclasses.fields(kind)}
    for name in names:
        if name not in fields:
            accepted = f"{', '.join(sorted(fields - {'name'}))}{near(name, fields)}"
            raise ValueError(f"{origin}: unknown field {name!r}{whose}; known: {accepted}")


def built(kind: type, values: Mapping[str, Any], origin: str, whose: str = "") -> Any:
    """Dataclass `kind` of `values`. `ValueError` naming origin, field and what is accepted."""
    unknown(values, kind, origin, whose)
    for name, accepted in of(kind).items():
        if name not in values and name not in defaults(kind):
            raise ValueError(f"{origin}: {name} is missing; accepted: {accepted.words}")
    try:
        return kind(**values)
    except ValueError as error:
        raise ValueError(f"{origin}: {error}") from None


class BadOption(ValueError):
    """What was asked for makes no sense, though the files are in order."""


class Checked:
    """A dataclass whose values are what its fields accept, however it was made.

    Raises `ValueError` naming the field, the value and what is accepted.
    """

    def __post_init__(self) -> None:
        kind: Any = type(self)  # a dataclass, as all that are checked
        accepted = of(kind)
        for field in dataclasses.fields(kind):
            value = getattr(self, field.name)
            if value is None and field.default is None:
                continue
            try:
                read = accepted[field.name].read(value)
            except ValueError as error:
                raise ValueError(f"{field.name} is {value!r}; {error}") from None
            object.__setattr__(self, field.name, read)
