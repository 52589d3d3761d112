"""Renders Jinja templates to card JSON. Data can never become JSON structure, markup or a mention.

Every text that a template outputs is a numbered placeholder while the JSON is parsed. The text then replaces its
placeholder in the parsed strings. Where Feishu reads Markdown (tags markdown and lark_md, and table cells of these
types), the text is escaped first. Numbers and booleans are written as JSON literals.
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
"""The templates of an installed package. In a source checkout they are beside the package."""

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
"""The templates that the service uses. The lowest variant, plain text, needs none."""

_UNSAFE_FILTERS = ("safe", "xmlattr", "urlize", "pprint", "forceescape", "escape", "e")
_FOR_FINISHED_JSON = frozenset({"trim", "length", "count", "default", "d", "string", "list", "first", "last"})
_MARKDOWN_TAGS = frozenset({"markdown", "lark_md"})
_MARKDOWN_KEYS = frozenset({"content", "i18n_content"})
_ESCAPED = "&<>*_~`[]()#:!-+/\\\"'$|{}@.="
_ENTITIES = {ord(char): f"&#{ord(char)};" for char in _ESCAPED}


def shipped_templates() -> Path:
    """Return the folder of the shipped templates."""
    return SHIPPED_HERE if SHIPPED_HERE.is_dir() else SHIPPED_HERE.parents[1] / "templates"


def escape_markdown(text: str) -> str:
    """Return text that Feishu's Markdown shows verbatim, on one line.

    Source: the escape table of Feishu's rich-text page, read 2026-05. We also escape the ampersand, bar, braces, at
    sign, dot (bare links, numbered lists) and equals sign.
    """
    return " ".join(text.splitlines()).translate(_ENTITIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFault:
    """An error in a template."""

    template: str
    """The file name."""
    line: int | None
    """The line in the template, counted from 1. None: no line is known."""
    message: str
    """What is wrong."""

    def __str__(self) -> str:
        place = f"{self.template}, line {self.line}" if self.line else self.template
        return f"{place}: {self.message}"


class _Joining(CodeGenerator):
    """Compiles `a ~ b` to a call of `joined`. Jinja's own join would HTML-escape a text next to finished JSON."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - Jinja's name for it
        self.write("environment.joined((")
        for each in node.nodes:
            self.visit(each, frame)
            self.write(", ")
        self.write("))")


class _Environment(ImmutableSandboxedEnvironment):
    """Allows templates to output or join finished JSON, and nothing else. Macros and blocks return it as Markup.

    Any other operation could make a text part of the template. In a join the text becomes a placeholder.
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
    """Return the filter with a check that rejects finished JSON."""

    @functools.wraps(filter_)
    def checked(*values: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the filter takes
        for value in (*values, *named.values()):
            inside = value if isinstance(value, list | tuple) else (value,)
            if any(isinstance(each, Markup) for each in inside):
                raise SecurityError(f"finished JSON cannot go through the filter {name}; use it on texts")
        return filter_(*values, **named)

    return checked


class CardTemplates:
    """Loads and renders card templates."""

    def __init__(self, own: Path | None = None) -> None:
        """own: a folder of the operator. Each file in it replaces the shipped template of the same name."""
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
        """Return the names of all card templates, without shared parts (`_….j2`)."""
        return [
            name for name in self._environment.list_templates(extensions=["j2"]) if not name.startswith("_")
        ]

    def source_of(self, name: str) -> str:
        """Return where the template comes from: `own` or `shipped`."""
        return "own" if self._own is not None and (self._own / name).is_file() else "shipped"

    def render(self, name: str, context: Mapping[str, object]) -> dict[str, Any]:
        """Render a template to parsed JSON. Raises TemplateBroken with file, line and reason."""
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
            raise TemplateBroken(
                f"{error.name}: there is no such template; there are: {', '.join(self.names())}"
            ) from error
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
    """Return the output of `{{ … }}`: a placeholder for text, a literal for numbers. Finished JSON stays unchanged."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, Decimal):
        return Markup(str(value))  # noqa: S704 - a number
    if value is None or isinstance(value, bool | int | float):
        return Markup(json.dumps(value, allow_nan=False))  # noqa: S704 - a number, a boolean or null
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises an error with the undefined name
    return _slot(str(value))


def _slot(text: str) -> Markup:
    slots = _slots.get()
    slots.append(text)
    return Markup(f"{OPEN}{len(slots) - 1}{CLOSE}")  # noqa: S704 - a number between two marks


def _tojson(value: object) -> Markup:
    """Return a list or object as JSON. The texts in it become placeholders."""
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
    """Reject templates that contain the two reserved characters of placeholders."""
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
    """Fill the names first, because the tag and the names decide whether a value is Markdown."""
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
    """Return the line in the template. Jinja maps traceback entries to template lines."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith(name):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
