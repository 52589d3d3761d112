"""Templates: Jinja text -> card JSON, such that data can never become JSON structure, markup or a mention.

How: every text that a template puts out stands as a numbered placeholder while the JSON is parsed. It is put
back into the parsed strings afterwards, and where Feishu would read Markdown (tag markdown or lark_md, such
table cells), it is put back with Feishu's own escapes. Numbers and booleans are written as JSON literals.
"""

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from notifier.domain.delivery import CardVariant
from notifier.errors import TemplateBroken

SHIPPED_HERE = Path(__file__).resolve().parents[1] / "templates"
"""In an installed package; in a checkout they lie beside the package."""

OPEN, CLOSE = "\ue000", "\ue001"
_SLOT = re.compile(f"{OPEN}(\\d+){CLOSE}")
_slots: ContextVar[list[str]] = ContextVar("slots")

BALANCE_TEMPLATES = {
    CardVariant.FULL: "balance_change.json.j2",
    CardVariant.COMPACT: "balance_change_compact.json.j2",
}
WITHDRAWAL_TEMPLATES = {
    CardVariant.FULL: "withdrawal.json.j2",
    CardVariant.COMPACT: "withdrawal_compact.json.j2",
}
DIGEST_TEMPLATES = {CardVariant.FULL: "digest.json.j2", CardVariant.COMPACT: "digest_compact.json.j2"}
PERSONAL_TEMPLATES = {
    CardVariant.FULL: "personal_digest.json.j2",
    CardVariant.COMPACT: "digest_compact.json.j2",
}
OUR_TEMPLATES = tuple(
    dict.fromkeys(
        name
        for kind in (BALANCE_TEMPLATES, WITHDRAWAL_TEMPLATES, DIGEST_TEMPLATES, PERSONAL_TEMPLATES)
        for name in kind.values()
    )
)
"""The templates we send ourselves; plain text, the last rung, needs none."""

_UNSAFE_FILTERS = ("safe", "xmlattr", "urlize", "pprint", "forceescape", "escape", "e")
_FOR_FINISHED_JSON = frozenset({"trim", "length", "count", "default", "d", "string", "list", "first", "last"})
_MARKDOWN_TAGS = frozenset({"markdown", "lark_md"})
_MARKDOWN_KEYS = frozenset({"content", "i18n_content"})
_ESCAPED = "&<>*_~`[]()#:!-+/\\\"'$|{}@.="
_ENTITIES = {ord(char): f"&#{ord(char)};" for char in _ESCAPED}


def shipped_templates() -> Path:
    return SHIPPED_HERE if SHIPPED_HERE.is_dir() else SHIPPED_HERE.parents[1] / "templates"


def escape_markdown(text: str) -> str:
    """Text that Feishu's Markdown shows as it is. Source: escape table of the rich-text page, read 2026-05;
    the ampersand, bar, braces, at, dot (bare links, numbered lists) and equals signs are our addition.
    """
    return " ".join(text.splitlines()).translate(_ENTITIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFault:
    """line: in the template, from 1; None when it is not about a line."""

    template: str
    line: int | None
    message: str

    def __str__(self) -> str:
        place = f"{self.template}, line {self.line}" if self.line else self.template
        return f"{place}: {self.message}"


class _Joining(CodeGenerator):
    """`a ~ b` as a call of ours; Jinja's own join would HTML-escape a text that meets finished JSON."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - Jinja's name for it
        self.write("environment.joined((")
        for each in node.nodes:
            self.visit(each, frame)
            self.write(", ")
        self.write("))")


class _Environment(ImmutableSandboxedEnvironment):
    """Finished JSON (Markup: what macros and blocks give) is put out or joined, and nothing else.

    Any other way to mix a text into it would make the text part of the template. Joined, it is a placeholder.
    """

    code_generator_class = _Joining
    intercepted_binops = frozenset({"+", "%"})

    def joined(self, values: Sequence[object]) -> str:
        if any(isinstance(value, Markup) for value in values):
            return Markup("").join(_as_json(value) for value in values)
        return "".join(str(value) for value in values)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401 - Jinja's own
        if not isinstance(left, Markup) and not isinstance(right, Markup):
            return super().call_binop(context, operator, left, right)
        if operator == "+":
            return self.joined((left, right))
        raise SecurityError("finished JSON cannot be formatted; join it with ~")

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:  # noqa: ANN401 - Jinja's own
        return (
            None if isinstance(getattr(value, "__self__", None), Markup) else super().wrap_str_format(value)
        )

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # noqa: ANN401 - Jinja's own
        return not isinstance(obj, Markup) and super().is_safe_attribute(obj, attr, value)


def _for_texts(name: str, filter_: Callable[..., Any]) -> Callable[..., Any]:
    """The same filter, closed to finished JSON."""

    @functools.wraps(filter_)
    def checked(*values: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the filter takes
        for value in (*values, *named.values()):
            inside = value if isinstance(value, list | tuple) else (value,)
            if any(isinstance(each, Markup) for each in inside):
                raise SecurityError(f"finished JSON cannot go through the filter {name}; use it on texts")
        return filter_(*values, **named)

    return checked


class CardTemplates:
    """own: a folder whose files win, one by one, over the shipped ones."""

    def __init__(self, own: Path | None = None) -> None:
        folders = [*([own] if own else []), shipped_templates()]
        self._own = own
        self._environment = _Environment(
            loader=jinja2.FileSystemLoader([str(folder) for folder in folders]),
            undefined=jinja2.StrictUndefined,
            autoescape=True,
            finalize=_as_json,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=True,
            cache_size=50,
        )
        for unsafe in _UNSAFE_FILTERS:
            self._environment.filters.pop(unsafe, None)
        for name, filter_ in self._environment.filters.items():
            if name not in _FOR_FINISHED_JSON:
                self._environment.filters[name] = _for_texts(name, filter_)
        self._environment.filters["tojson"] = _tojson

    def names(self) -> list[str]:
        """All card templates, shared parts (`_….j2`) left out."""
        return [
            name for name in self._environment.list_templates(extensions=["j2"]) if not name.startswith("_")
        ]

    def source_of(self, name: str) -> str:
        """`own` or `shipped`."""
        return "own" if self._own is not None and (self._own / name).is_file() else "shipped"

    def render(self, name: str, context: Mapping[str, object]) -> dict[str, Any]:
        """The card as parsed JSON. Raises TemplateBroken with file, line and reason."""
        token = _slots.set([])
        try:
            text = self._environment.get_template(name).render(**context)
            filled = _fill(_parsed(text, name), _slots.get())
        except TemplateBroken:
            raise
        except jinja2.TemplateSyntaxError as error:
            raise TemplateBroken(
                str(TemplateFault(template=error.name or name, line=error.lineno, message=str(error.message)))
            ) from error
        except jinja2.TemplateNotFound as error:
            raise TemplateBroken(f"{error.name}: there is no such template") from error
        except json.JSONDecodeError as error:
            raise TemplateBroken(f"{name}: renders invalid JSON: {_json_fault(error)}") from error
        except Exception as error:
            line = _line_in(error, name)
            raise TemplateBroken(
                str(TemplateFault(template=name, line=line, message=f"{type(error).__name__}: {error}"))
            ) from error
        finally:
            _slots.reset(token)
        return filled


def _as_json(value: object) -> Markup:
    """What `{{ … }}` puts out: a placeholder for text, a literal for numbers; finished JSON passes."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, Decimal):
        return Markup(str(value))  # noqa: S704 - a number
    if value is None or isinstance(value, bool | int | float):
        return Markup(json.dumps(value, allow_nan=False))  # noqa: S704 - a number, a boolean or null
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises, naming what is undefined
    return _slot(str(value))


def _slot(text: str) -> Markup:
    slots = _slots.get()
    slots.append(text)
    return Markup(f"{OPEN}{len(slots) - 1}{CLOSE}")  # noqa: S704 - a number between two marks


def _tojson(value: object) -> Markup:
    """A list or object as JSON; the texts in it stay data."""
    return Markup(json.dumps(_slotted(value), default=str))  # noqa: S704 - all texts are placeholders


def _slotted(value: object) -> object:
    match value:
        case str():
            return str(_slot(value))
        case Mapping():
            return {str(_slot(str(key))): _slotted(each) for key, each in value.items()}
        case list() | tuple():
            return [_slotted(each) for each in value]
        case _:
            return value


def _parsed(text: str, name: str) -> dict[str, Any]:
    card = json.loads(_checked_literals(text, name), parse_constant=_no_constant)
    if not isinstance(card, dict):
        raise TemplateBroken(f"{name}: renders {type(card).__name__}, not a JSON object")
    return card


def _checked_literals(text: str, name: str) -> str:
    """Everything between the marks is ours: a template must not write them itself."""
    if text.count(OPEN) != text.count(CLOSE) or len(_SLOT.findall(text)) != text.count(OPEN):
        raise TemplateBroken(f"{name}: the characters U+E000 and U+E001 are reserved")
    return text


def _fill(node: Any, slots: Sequence[str], *, markdown: bool = False) -> Any:  # noqa: ANN401 - JSON
    match node:
        case str():
            return _SLOT.sub(lambda m: _put_back(slots, int(m[1]), markdown=markdown), node)
        case list():
            return [_fill(each, slots, markdown=markdown) for each in node]
        case dict():
            return _filled(node, slots, markdown=markdown)
        case _:
            return node


def _filled(node: dict[str, Any], slots: Sequence[str], *, markdown: bool) -> dict[str, Any]:
    """Names first: what a value is depends on them, and a template may put them out too."""
    named = {_fill(key, slots): value for key, value in node.items()}
    tag = _fill(named["tag"], slots) if isinstance(named.get("tag"), str) else None
    cells = _markdown_columns(_fill(named.get("columns"), slots)) if tag == "table" else frozenset()
    return {
        name: _filled_rows(value, slots, cells=cells)
        if name == "rows" and isinstance(value, list)
        else _fill(value, slots, markdown=markdown or (tag in _MARKDOWN_TAGS and name in _MARKDOWN_KEYS))
        for name, value in named.items()
    }


def _markdown_columns(columns: object) -> frozenset[object]:
    return frozenset(
        column.get("name")
        for column in (columns if isinstance(columns, list) else ())
        if isinstance(column, dict) and column.get("data_type") in _MARKDOWN_TAGS
    )


def _filled_rows(rows: list[Any], slots: Sequence[str], *, cells: frozenset[object]) -> list[Any]:
    return [
        {
            name: _fill(value, slots, markdown=name in cells)
            for name, value in ((_fill(key, slots), value) for key, value in row.items())
        }
        if isinstance(row, dict)
        else _fill(row, slots)
        for row in rows
    ]


def _put_back(slots: Sequence[str], number: int, *, markdown: bool) -> str:
    if number >= len(slots):
        raise TemplateBroken("the characters U+E000 and U+E001 are reserved")
    return escape_markdown(slots[number]) if markdown else slots[number]


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _json_fault(error: json.JSONDecodeError) -> str:
    rows = error.doc.splitlines() or [""]
    row = _SLOT.sub("…", rows[min(error.lineno, len(rows)) - 1]).strip()
    return f"{error.msg} at line {error.lineno} of the output: {row[:80]}"


def _line_in(error: BaseException, name: str) -> int | None:
    """Jinja rewrites tracebacks to template lines."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith(name):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
