"""The names of a card's values as plain variables, for cards from Feishu's card builder, which knows no paths."""

import dataclasses
import functools
import types
import typing
from collections.abc import Iterator, Mapping

LISTED_ITEMS = 3
"""Items of a list that have variables: `lines_1_after` to `lines_3_after`."""
Path = tuple[str | int, ...]


@functools.cache
def variables_of(kind: type) -> Mapping[str, Path]:
    """Return the variables of a type of card: `referrer_name_zh` stands for `card.referrer.name.zh`."""
    return {
        "_".join(str(step + 1) if isinstance(step, int) else step for step in path): path
        for path in _paths(kind)
    }


def _paths(kind: object, start: Path = ()) -> Iterator[Path]:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        for field in dataclasses.fields(kind):
            yield from _paths(hints[field.name], (*start, field.name))
    elif isinstance(kind, types.UnionType):
        for each in typing.get_args(kind):
            if each is not types.NoneType:
                yield from _paths(each, start)
    elif typing.get_origin(kind) is tuple:
        for number in range(LISTED_ITEMS):
            yield from _paths(typing.get_args(kind)[0], (*start, number))
    elif start:
        yield start


def read_variable(card: object, path: Path) -> object:
    """Return the value of a variable; an empty text if the card has none."""
    value: object = card
    for step in path:
        if isinstance(step, int):
            value = value[step] if isinstance(value, tuple) and step < len(value) else None
        else:
            value = getattr(value, step, None)
        if value is None:
            return ""
    return value
