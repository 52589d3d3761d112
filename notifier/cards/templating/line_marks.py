"""Which line of which template wrote a place in the output. Used after a failure only: the card is rendered again."""

import bisect
import re
from collections.abc import Iterator, Mapping

import jinja2
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream

from notifier.cards.templating.environment import SHARED_MACROS, CardEnvironment

_MARK = re.compile("\ue002([^\ue003]*):([0-9]+)\ue003")


class _MarkLines(Extension):
    """Writes the template and the line before each line of literal text."""

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        for token in stream:
            if token.type != "data":
                yield token
                continue
            lines = [
                f"\ue002{stream.name}:{token.lineno + number}\ue003{line}"
                for number, line in enumerate(token.value.splitlines(keepends=True))
            ]
            yield Token(token.lineno, token.type, "".join(lines))


class LineMarks:
    """Renders a template a second time, with marks."""

    def __init__(self, loader: jinja2.BaseLoader) -> None:
        """loader: finds the templates."""
        self._environment = CardEnvironment(loader, extensions=(_MarkLines,))

    def find(self, name: str, context: Mapping[str, object]) -> "MarkedOutput":
        """Return the output with its marks."""
        return MarkedOutput(self._environment.get_template(name).render(**context), name)


class MarkedOutput:
    """The output of a template, and where each part of it comes from."""

    def __init__(self, marked: str, name: str) -> None:
        """marked: the output with marks. name: of the template."""
        pieces: list[str] = []
        self._starts: list[int] = [0]
        self._places: list[tuple[str, int]] = [(name, 1)]
        length = end = 0
        for found in _MARK.finditer(marked):
            pieces.append(marked[end : found.start()])
            length += len(pieces[-1])
            self._starts.append(length)
            self._places.append((found[1], int(found[2])))
            end = found.end()
        self.text = "".join([*pieces, marked[end:]])

    def place(self, position: int) -> tuple[str, int]:
        """Return template and line of a position.

        A macro of the shared files is rarely at fault: the line is the one that uses it.
        """
        index = bisect.bisect_right(self._starts, position) - 1
        shared = set(SHARED_MACROS.values())
        outside = (place for place in reversed(self._places[: index + 1]) if place[0] not in shared)
        return next(outside, self._places[index])
