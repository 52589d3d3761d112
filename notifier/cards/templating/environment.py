"""The Jinja environment of card templates: what an expression may do, and what it becomes in the output.

Every text that a template outputs is a placeholder while the JSON is parsed: see `placeholders`. Numbers and booleans
are written as JSON literals.
"""

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from decimal import Decimal
from types import FunctionType
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.environment import TemplateModule
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing
from markupsafe import Markup

from notifier.cards.placeholders import Placeholders
from notifier.cards.templating.faults import name_nearest
from notifier.cards.templating.sentences import changes_of, counts_of, list_amounts, proofs_of
from notifier.cards.templating.texts import text
from notifier.domain.card import Bilingual

placeholders_in_use: ContextVar[Placeholders] = ContextVar("placeholders")
"""The placeholders of the card that is being rendered."""

SHARED_MACROS = {"parts": "_parts.j2", "digest": "_digest.j2"}
"""Variables that every template has: the macros of these files."""


_CONSTANTS = frozenset({"true", "false", "null"})
"""Words that are JSON without quotation marks. As a placeholder they are an error there."""
_UNSAFE_FILTERS = ("safe", "xmlattr", "urlize", "pprint", "forceescape", "escape", "e")
_FOR_FINISHED_JSON = frozenset({"trim", "length", "count", "default", "d", "string", "list", "first", "last"})


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


class _NamedUndefined(jinja2.StrictUndefined):
    """An unknown variable or field: its error names the ones that exist."""

    @property
    def _undefined_message(self) -> str:
        name, value = str(self._undefined_name), self._undefined_obj
        if self._undefined_hint:
            return str(self._undefined_hint)
        if value is missing:
            return f"there is no variable {name}" + name_nearest(name, VARIABLES, noun="variables")
        if isinstance(value, TemplateModule):
            macros = sorted(
                key for key, each in value.__dict__.items() if isinstance(each, Macro | FunctionType)
            )
            return f"there is no macro {name}" + name_nearest(name, macros, noun="macros")
        fields = list(value) if isinstance(value, Mapping) else sorted(field_names(value.__class__))
        if fields:
            known = name_nearest(name, map(str, fields), noun="fields")
            kind = "this object" if isinstance(value, Mapping) else type(value).__name__
            return f"{kind} has no field {name}{known}"
        return f"{_describe(value)} has no field {name}"


def _describe(value: object) -> str:
    kinds = {str: "a text", tuple: "a list", list: "a list", type(None): "none"}
    return kinds.get(type(value), "a number" if isinstance(value, int | float | Decimal) else "this value")


class _CardContext(Context):
    """The variables of a template. The shared macros are there without an import, in every block."""

    def resolve_or_missing(self, key: str) -> Any:  # noqa: ANN401 - Jinja's own
        if key in self.vars:
            return self.vars[key]
        if key in self.parent:
            return self.parent[key]
        if key in SHARED_MACROS and isinstance(self.environment, CardEnvironment):
            found = self.vars[key] = self.environment.shared_macros(key)
            return found
        return missing


class CardEnvironment(ImmutableSandboxedEnvironment):
    """Allows templates to output or join finished JSON, and nothing else. Macros and blocks return it as Markup.

    Any other operation could make a text part of the template. In a join the text becomes a placeholder.
    """

    code_generator_class = _CardCode
    context_class = _CardContext
    intercepted_binops = frozenset({"+", "%"})

    def __init__(self, loader: jinja2.BaseLoader, *, extensions: Sequence[Any] = ()) -> None:
        """loader: finds the templates. extensions: of Jinja's, for diagnosis."""
        super().__init__(
            loader=loader,
            undefined=_NamedUndefined,
            autoescape=True,
            finalize=as_json,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=True,
            cache_size=50,
            extensions=extensions,
        )
        self._shared: dict[str, tuple[Sequence[jinja2.Template], TemplateModule]] = {}
        self.globals.update(FUNCTIONS | FAST_MACROS)
        self._functions = frozenset([*FUNCTIONS.values(), *FAST_MACROS.values()])
        for unsafe in _UNSAFE_FILTERS:
            self.filters.pop(unsafe, None)
        for name, filter_ in self.filters.items():
            if name not in _FOR_FINISHED_JSON:
                self.filters[name] = _for_texts(name, filter_)
        self.filters["tojson"] = _tojson

    def shared_macros(self, variable: str) -> TemplateModule:
        """Return the macros of a shared file, as they are now. They use those of `_parts.j2` in turn."""
        templates = [
            self.get_template(file) for name, file in SHARED_MACROS.items() if name in {"parts", variable}
        ]
        kept = self._shared.get(variable)
        if kept is not None and kept[0] == templates:
            return kept[1]
        module = templates[-1].make_module()
        if variable == "parts":
            module.__dict__.update(
                {name: each for name, each in FAST_MACROS.items() if name not in module.__dict__}
            )
        self._shared[variable] = (templates, module)
        return module

    def joined(self, values: Sequence[object]) -> str:
        """Return `a ~ b`. With finished JSON among the values, texts become placeholders."""
        if Markup in map(type, values):
            return Markup("".join(map(as_json, values)))  # noqa: S704 - all texts are placeholders
        return "".join(map(str, values))

    def getattr(self, obj: Any, attribute: str) -> Any:  # noqa: ANN401 - Jinja's own
        """Read a field of a card, or a macro of a template, without the checks that every other access passes."""
        kind: type = type(obj)
        names = obj.__dict__ if kind is TemplateModule else field_names(kind)
        if attribute in names and not attribute.startswith("_"):
            return getattr(obj, attribute)
        return super().getattr(obj, attribute)

    def call(self, context: Context, obj: Any, /, *args: Any, **named: Any) -> Any:  # noqa: ANN401 - Jinja's own
        """Call a macro or a function of ours without the checks that every other call passes."""
        if type(obj) is Macro:
            if named:
                named.pop("_loop_vars", None)  # Jinja's own names, for functions that ask for the context
                named.pop("_block_vars", None)
            return obj(context.eval_ctx, *args, **named)
        if type(obj) is FunctionType and obj in self._functions:
            if named:
                named.pop("_loop_vars", None)
                named.pop("_block_vars", None)
            return obj(*args, **named)
        return super().call(context, obj, *args, **named)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401 - Jinja's own
        """Return `a + b` or `a % b`. Finished JSON can be added to, but not formatted."""
        if not isinstance(left, Markup) and not isinstance(right, Markup):
            return super().call_binop(context, operator, left, right)
        if operator == "+":
            return self.joined((left, right))
        raise SecurityError("finished JSON cannot be formatted; join it with ~")

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:  # noqa: ANN401 - Jinja's own
        """Return a safe form of `str.format`; None for that of finished JSON."""
        return (
            None if isinstance(getattr(value, "__self__", None), Markup) else super().wrap_str_format(value)
        )

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # noqa: ANN401 - Jinja's own
        """Whether a template may read the attribute. Finished JSON has none that it may."""
        return not isinstance(obj, Markup) and super().is_safe_attribute(obj, attr, value)


@functools.cache
def field_names(kind: type) -> frozenset[str]:
    """Return the fields of values of this type, if they can be part of a card. A loop has the fields of Jinja's."""
    if kind is LoopContext:
        return frozenset({"first", "last", "index", "index0", "length"})
    fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    return frozenset(field.name for field in fields)


def _both(zh: Any, en: Any = None) -> Bilingual:  # noqa: ANN401 - texts, numbers and finished JSON
    """Return a text in both languages: one that `t` made, or two texts, or one text for both."""
    if type(zh) is Bilingual:
        return zh
    if type(zh) is dict:  # of a file with variables, for a preview
        return Bilingual(zh=zh["zh"], en=zh["en"])
    return Bilingual(zh=zh, en=zh if en is None else en)


def _words(zh: object, en: object = None) -> Markup:
    """Return the members of a text component: `"content": "…", "i18n_content": {…}`."""
    return Markup(_members(zh, en))  # noqa: S704 - all texts are placeholders


def _line(zh: object, en: object = None, size: object = "normal", color: object = "default") -> Markup:
    """Return a line of plain text as a component."""
    look = f'"text_size": "{as_json(size)}", "text_color": "{as_json(color)}"'
    component = f'{{"tag": "div", "text": {{"tag": "plain_text", {_members(zh, en)}, {look}}}}}'
    return Markup(component)  # noqa: S704 - all texts are placeholders


def _small(zh: object, en: object = None) -> Markup:
    """Return a small grey line."""
    return _line(zh, en, "notation", "grey")


def _moment(at: object, zh: object, en: object = None) -> Markup:
    """Return a small grey line with a time in each reader's own time zone. at: milliseconds since the epoch."""
    shown, millis = _both(zh, en), as_json(at)
    start = f"<local_datetime millisecond='{millis}' format_type="
    time = f"{start}'date_num'></local_datetime> {start}'time'></local_datetime></font>"
    in_zh, in_en = (f"<font color='grey'>{as_json(each)} {time}" for each in (shown.zh, shown.en))
    members = f'"content": "{in_zh}", "i18n_content": {{"zh_cn": "{in_zh}", "en_us": "{in_en}"}}'
    component = f'{{"tag": "markdown", "text_size": "notation", {members}}}'
    return Markup(component)  # noqa: S704 - all texts are placeholders


def _members(zh: object, en: object) -> str:
    shown = _both(zh, en)
    in_zh, in_en = as_json(shown.zh), as_json(shown.en)
    return f'"content": "{in_zh}", "i18n_content": {{"zh_cn": "{in_zh}", "en_us": "{in_en}"}}'


FAST_MACROS: dict[str, Callable[..., Markup]] = {
    "words": _words,
    "line": _line,
    "small": _small,
    "moment": _moment,
}
"""Macros of `parts` that are called most. As functions they take a third of the time of a macro of Jinja's."""


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "t": text,
    "both": _both,
    "listed": list_amounts,
    "changes_of": changes_of,
    "proofs_of": proofs_of,
    "counts_of": counts_of,
}
"""Functions that every template may call. Each returns a text in both languages."""
VARIABLES = ("card", *SHARED_MACROS, *FUNCTIONS)
"""The names that every template may use."""


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


def as_json(value: object) -> str:
    """Return the output of `{{ … }}`: a placeholder for text, a literal for numbers. Finished JSON stays unchanged.

    A word of ASCII letters, such as a colour, needs no placeholder: it is the same in JSON, in Markdown and outside.
    """
    if isinstance(value, str):
        if isinstance(value, Markup) or (value.isascii() and value.isalpha() and value not in _CONSTANTS):
            return value
        return placeholders_in_use.get().add(str(value))
    if isinstance(value, Decimal) or type(value) is int:  # not a boolean
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value, allow_nan=False)
    return placeholders_in_use.get().add(
        str(value)
    )  # of an undefined name, this raises an error that names it


def _tojson(value: object) -> Markup:
    """Return a list or object as JSON. The texts in it become placeholders."""
    return Markup(json.dumps(with_placeholders(value), default=str))  # noqa: S704 - all texts are placeholders


def with_placeholders(value: object) -> object:
    """Return the value with a placeholder for each text in it, of objects also the names."""
    match value:
        case str():
            return placeholders_in_use.get().add(value)
        case Mapping():
            return {
                placeholders_in_use.get().add(str(key)): with_placeholders(each)
                for key, each in value.items()
            }
        case list() | tuple():
            return [with_placeholders(each) for each in value]
        case _:
            return value
