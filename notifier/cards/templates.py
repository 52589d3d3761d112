"""Renders Jinja templates to card JSON. Data can never become JSON structure, markup or a mention.

Every text that a template outputs is a placeholder while the JSON is parsed: see `placeholders`. Numbers and booleans
are written as JSON literals.
"""

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.environment import TemplateModule
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from notifier.cards.placeholders import Placeholders, without_placeholders
from notifier.domain.delivery import CardVariant
from notifier.errors import TemplateBroken

SHIPPED_HERE = Path(__file__).resolve().parents[1] / "templates"
"""The templates of an installed package. In a source checkout they are beside the package."""

_placeholders: ContextVar[Placeholders] = ContextVar("placeholders")

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


def shipped_templates() -> Path:
    """Return the folder of the shipped templates."""
    return SHIPPED_HERE if SHIPPED_HERE.is_dir() else SHIPPED_HERE.parents[1] / "templates"


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

    def as_error(self, kind_zh: str) -> TemplateBroken:
        """Return the error. kind_zh: its kind in Chinese; the message is Jinja's or Python's own."""
        place = f"{self.template} 第 {self.line} 行" if self.line else self.template
        return TemplateBroken(str(self), zh=f"{place}：{kind_zh}（“{self.message}”）")


class _CardCode(CodeGenerator):
    """Compiles `{{ a }}` to `finalize` and `a ~ b` to `joined`. Jinja's own code would HTML-escape texts."""

    def _output_child_pre(self, *_: object) -> None:
        self.write("environment.finalize(")

    def _output_child_post(self, *_: object) -> None:
        self.write(")")

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

    code_generator_class = _CardCode
    intercepted_binops = frozenset({"+", "%"})

    def joined(self, values: Sequence[object]) -> str:
        if Markup in map(type, values):
            return Markup("".join(map(_as_json, values)))  # noqa: S704 - all texts are placeholders
        return "".join(map(str, values))

    def getattr(self, obj: Any, attribute: str) -> Any:  # noqa: ANN401 - Jinja's own
        """Read a field of a card, or a macro of a template, without the checks that every other access passes."""
        kind: type = type(obj)
        names = obj.__dict__ if kind is TemplateModule else _field_names(kind)
        if attribute in names and not attribute.startswith("_"):
            return getattr(obj, attribute)
        return super().getattr(obj, attribute)

    def call(self, context: Context, obj: Any, /, *args: Any, **named: Any) -> Any:  # noqa: ANN401 - Jinja's own
        """Call a macro without the checks that every other call passes."""
        if type(obj) is not Macro:
            return super().call(context, obj, *args, **named)
        named.pop("_loop_vars", None)  # Jinja's own names, for functions that ask for the context
        named.pop("_block_vars", None)
        return obj(context.eval_ctx, *args, **named)

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


@functools.cache
def _field_names(kind: type) -> frozenset[str]:
    """Return the fields of values of this type, if they can be part of a card. A loop has the fields of Jinja's."""
    if kind is LoopContext:
        return frozenset({"first", "last", "index", "index0", "length"})
    fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    return frozenset(field.name for field in fields)


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


class OutputTrace(Protocol):
    """Follows the rendering of a template; see `positions.template_trace`."""

    def template(self, environment: jinja2.Environment, name: str) -> jinja2.Template:
        """Return the template to render."""

    def record(self, output: str) -> str:
        """Return the output, as it is parsed."""


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

    def file_of(self, name: str) -> str:
        """Return the path of a template's file; the name itself if there is none."""
        folders = [*([self._own] if self._own else []), shipped_templates()]
        return next((str(folder / name) for folder in folders if (folder / name).is_file()), name)

    def source_of(self, name: str) -> str:
        """Return where the template comes from: `own` or `shipped`."""
        return "own" if self._own is not None and (self._own / name).is_file() else "shipped"

    def render(
        self, name: str, context: Mapping[str, object], *, trace: OutputTrace | None = None
    ) -> dict[str, Any]:
        """Render a template to parsed JSON. Raises TemplateBroken with file, line and reason.

        trace: for the linter, which maps the output to lines of the template.
        """
        placeholders = Placeholders(name)
        token = _placeholders.set(placeholders)
        try:
            if trace is None:
                output = self._environment.get_template(name).render(**context)
            else:
                output = trace.record(trace.template(self._environment, name).render(**context))
            return placeholders.fill(_parsed(output, name))
        except TemplateBroken:
            raise
        except jinja2.TemplateSyntaxError as error:
            fault = TemplateFault(template=error.name or name, line=error.lineno, message=str(error.message))
            raise fault.as_error("语法错误") from error
        except jinja2.TemplateNotFound as error:
            raise TemplateBroken(
                f"{error.name}: there is no such template; there are: {', '.join(self.names())}",
                zh=f"{error.name}：没有这个模板；现有：{', '.join(self.names())}",
            ) from error
        except json.JSONDecodeError as error:
            row = _faulty_row(error)
            raise TemplateBroken(
                f"{name}: renders invalid JSON: {error.msg} at line {error.lineno} of the output: {row}",
                zh=f"{name}：输出不是有效的 JSON：输出第 {error.lineno} 行 {row}（“{error.msg}”）",
            ) from error
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            fault = TemplateFault(template=name, line=_line_in(error, name), message=message)
            raise fault.as_error("渲染失败") from error
        finally:
            _placeholders.reset(token)


def _as_json(value: object) -> str:
    """Return the output of `{{ … }}`: a placeholder for text, a literal for numbers. Finished JSON stays unchanged."""
    if isinstance(value, str):
        return value if isinstance(value, Markup) else _placeholders.get().add(str(value))
    if isinstance(value, Decimal) or type(value) is int:  # not a boolean
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value, allow_nan=False)
    return _placeholders.get().add(str(value))  # of an undefined name, this raises an error that names it


def _tojson(value: object) -> Markup:
    """Return a list or object as JSON. The texts in it become placeholders."""
    return Markup(json.dumps(_with_placeholders(value), default=str))  # noqa: S704 - all texts are placeholders


def _with_placeholders(value: object) -> object:
    match value:
        case str():
            return _placeholders.get().add(value)
        case Mapping():
            return {
                _placeholders.get().add(str(key)): _with_placeholders(each) for key, each in value.items()
            }
        case list() | tuple():
            return [_with_placeholders(each) for each in value]
        case _:
            return value


def _parsed(output: str, name: str) -> dict[str, Any]:
    card = _JSON.decode(output)
    if not isinstance(card, dict):
        raise TemplateBroken(
            f"{name}: renders {type(card).__name__}, not a JSON object",
            zh=f"{name}：输出的是 {type(card).__name__}，不是 JSON 对象",
        )
    return card


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_JSON = json.JSONDecoder(parse_constant=_no_constant)


def _faulty_row(error: json.JSONDecodeError) -> str:
    rows = error.doc.splitlines() or [""]
    return without_placeholders(rows[min(error.lineno, len(rows)) - 1]).strip()[:80]


def _line_in(error: BaseException, name: str) -> int | None:
    """Return the line in the template. Jinja maps traceback entries to template lines."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith(name):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
