"""Traces the output of a template back to its lines, also through macros of other files.

A Jinja extension puts marks into the output: where the text of a line begins, and where the value of `{{ … }}` begins
and ends. The marks are removed before the JSON is parsed, and their offsets are recorded.
"""

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

import jinja2
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream

from notifier.cards.lint_findings import LintPlace
from notifier.cards.templates import CardTemplates
from notifier.cards.templating.commas import blank_extra_commas
from notifier.errors import TemplateBroken

LINE, VALUE, END, NUMBER_END = "\ue002", "\ue003", "\ue004", "\ue005"
_MARK = re.compile(f"([{LINE}{VALUE}])([0-9]+){NUMBER_END}|{END}")


class TraceDetail(Enum):
    """How many marks a template gets."""

    LINES = auto()
    """Where the text of a line begins. Empty output stays empty, so conditions on the output of macros still work."""
    CALLS = auto()
    """Also where each value begins and ends, which names the callers of macros."""


@dataclass(slots=True, kw_only=True)
class _OutputValue:
    """A value that is being output: what `{{ … }}` wrote."""

    called_at: LintPlace
    """Where the expression stands."""
    place: LintPlace
    """Where the text that was output last stands."""
    text_start: int | None = None
    """Offset of this text in the output; None: no text of a macro was output yet."""


class OutputPlaces:
    """The places in templates from which the output was written."""

    def __init__(self, output: str, places: list[LintPlace], template: LintPlace) -> None:
        """output: with marks. places: by the number in a mark. template: the first position of the template."""
        self._offsets: list[int] = []
        self._stacks: list[tuple[tuple[LintPlace, LintPlace, int | None], ...]] = []
        self.first = template
        self.text = blank_extra_commas(self._without_marks(output, places) if places else output)

    def _without_marks(self, output: str, places: list[LintPlace]) -> str:
        frames = [_OutputValue(called_at=self.first, place=self.first)]
        parts: list[str] = []
        length = end = 0
        for mark in _MARK.finditer(output):
            parts.append(output[end : mark.start()])
            length += mark.start() - end
            end = mark.end()
            if mark[0] != END and int(mark[2]) >= len(places):
                continue  # not one of ours: the text of the template has such characters itself
            if mark[0] == END:
                del frames[max(1, len(frames) - 1) :]
            elif mark[1] == VALUE:
                place = places[int(mark[2])]
                frames.append(_OutputValue(called_at=place, place=place))
            else:
                frames[-1].place, frames[-1].text_start = places[int(mark[2])], length
            self._offsets.append(length)
            self._stacks.append(tuple((each.called_at, each.place, each.text_start) for each in frames))
        return "".join([*parts, output[end:]])

    def place_of(self, offset: int) -> tuple[LintPlace, tuple[LintPlace, ...]]:
        """Return where a character was written, and from where its macros were called, the nearest first.

        offset: of the character in the output without marks.
        """
        number = bisect.bisect_right(self._offsets, offset) - 1
        if number < 0:
            return self.first, ()
        stack = self._stacks[number]
        _, place, text_start = stack[-1]
        if text_start is not None:
            place = LintPlace(
                file=place.file, line=place.line, column=place.column + max(0, offset - text_start)
            )
        calls = stack[1:] if text_start is not None else stack[1:-1]
        return place, tuple(called_at for called_at, _, _ in reversed(calls))


class _Marks(Extension):
    """Puts marks into the text of templates. The places are collected in the environment."""

    detail = TraceDetail.LINES

    def __init__(self, environment: jinja2.Environment) -> None:
        super().__init__(environment)
        self.places: list[LintPlace] = []
        self._source = ""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002
        """Keep the source, in which the columns are found."""
        self._source = source
        return source

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        """Add the marks."""
        source = _SourceCursor(self._source)
        file = stream.filename or stream.name or ""
        for token in stream:
            if token.type == "data":
                column = source.column_of(token.value)
                yield Token(token.lineno, "data", self._marked(token, file, column))
            elif token.type == "variable_begin" and self.detail is TraceDetail.CALLS:
                column = source.column_of("{{")
                yield Token(token.lineno, "data", self._mark(VALUE, file, token.lineno, column))
                yield token
            elif token.type == "variable_end" and self.detail is TraceDetail.CALLS:
                yield token
                yield Token(token.lineno, "data", END)
            else:
                yield token

    def _marked(self, token: Token, file: str, column: int) -> str:
        """Return the text with a mark before each line that has more than white space."""
        lines = token.value.split("\n")
        return "\n".join(
            self._mark(LINE, file, token.lineno + number, 1 if number else column) + line
            if line.strip()
            else line
            for number, line in enumerate(lines)
        )

    def _mark(self, kind: str, file: str, line: int, column: int) -> str:
        self.places.append(LintPlace(file=file, line=line, column=column))
        return f"{kind}{len(self.places) - 1}{NUMBER_END}"


class _CallMarks(_Marks):
    detail = TraceDetail.CALLS


class _SourceCursor:
    """Finds tokens in a source from front to back."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0

    def column_of(self, text: str) -> int:
        """Return the column of the next occurrence, counted from 1; 1 if it is not found."""
        start = self._source.find(text, self._at)
        if start < 0:
            return 1
        self._at = start + len(text)
        return start - self._source.rfind("\n", 0, start)


class TemplateTrace:
    """Renders templates with marks. One object can trace many outputs; `places` belongs to the last one."""

    def __init__(self, detail: TraceDetail | None) -> None:
        """detail: None for no marks; `places` then has the output alone."""
        self._extension = {None: None, TraceDetail.CALLS: _CallMarks, TraceDetail.LINES: _Marks}[detail]
        self._environment: jinja2.Environment | None = None
        self._template = LintPlace(file="", line=1, column=1)
        self.places = OutputPlaces("", [], self._template)

    def template(self, environment: jinja2.Environment, name: str) -> jinja2.Template:
        """Return the template, compiled with marks. environment: always the same one."""
        if self._environment is None:
            extensions = [] if self._extension is None else [self._extension]
            self._environment = environment.overlay(extensions=extensions) if extensions else environment
        found = self._environment.get_template(name)
        self._template = LintPlace(file=found.filename or name, line=1, column=1)
        return found

    def record(self, output: str) -> str:
        """Return the output without marks, and keep their places."""
        places: list[LintPlace] = []
        if self._extension is not None and self._environment is not None:
            marks = self._environment.extensions[self._extension.identifier]
            places = marks.places if isinstance(marks, _Marks) else []
        self.places = OutputPlaces(output, places, self._template)
        return self.places.text


def broken_place(templates: CardTemplates, name: str, error: TemplateBroken) -> LintPlace:
    """Return the place of the error that made a template fail to render."""
    cause = error.__cause__
    file, line = templates.file_of(name), 1
    if isinstance(cause, jinja2.TemplateSyntaxError):
        return LintPlace(file=cause.filename or file, line=cause.lineno, column=1)
    trace = cause.__traceback__ if cause is not None else None
    while trace is not None:  # Jinja maps traceback entries to template lines; the last one is the innermost
        if trace.tb_frame.f_code.co_filename.endswith(".j2"):
            file, line = trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next
    return LintPlace(file=file, line=line, column=1)
