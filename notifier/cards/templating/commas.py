"""Commas between the elements of a card: one too many is dropped, so that a block may be empty or may be extended."""

import re
from collections.abc import Callable

_TEXT = r'"(?:[^"\\]|\\.)*"|'
_BEFORE_ANOTHER = r",\s*(?=[,\]}])"
_AFTER_BRACKET = (r"\[\s*,", r"\{\s*,")
_PATTERNS = tuple(re.compile(pattern) for pattern in (_BEFORE_ANOTHER, *_AFTER_BRACKET))
"""Each begins with a fixed character: the search is then three times as fast as with all of them in one pattern."""
_OUTSIDE_TEXTS = tuple(re.compile(_TEXT + pattern) for pattern in (_BEFORE_ANOTHER, *_AFTER_BRACKET))


def drop_extra_commas(output: str) -> str:
    """Return the output of a template without doubled, leading and trailing commas of lists and objects.

    Commas inside texts stay. A missing comma stays missing: the JSON parser reports it.
    """
    if '\\"' in output:
        for pattern in _OUTSIDE_TEXTS:
            output = pattern.sub(_without_comma, output)
        return output
    for pattern in _PATTERNS:
        output = pattern.sub(_outside_texts(output), output)
    return output


def _without_comma(found: re.Match[str]) -> str:
    """A text stays, and the bracket before a comma."""
    return found[0] if found[0].startswith('"') else found[0][0].replace(",", "")


def _outside_texts(output: str) -> Callable[[re.Match[str]], str]:
    """Return the replacement for output in which every quotation mark starts or ends a text."""
    position, is_in_text = 0, False

    def replace(found: re.Match[str]) -> str:
        nonlocal position, is_in_text
        is_in_text ^= output.count('"', position, found.start()) % 2 == 1
        position = found.start()
        return found[0] if is_in_text else _without_comma(found)

    return replace


def blank_extra_commas(output: str) -> str:
    """The same for diagnosis: blanks take the place of what is dropped, so that every character keeps its offset."""
    shorter = drop_extra_commas(output)
    kept, position = [], 0
    for char in output:
        is_kept = position < len(shorter) and shorter[position] == char
        kept.append(char if is_kept else " ")
        position += is_kept
    return "".join(kept)
