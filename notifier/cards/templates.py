"""Renders Jinja templates to card JSON. Data can never become JSON structure, markup or a mention."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import jinja2

from notifier.cards.placeholders import Placeholders, without_placeholders
from notifier.cards.templating import loading
from notifier.cards.templating.builder import BuilderCard, builder_file, is_reference, values_file
from notifier.cards.templating.commas import blank_extra_commas, drop_extra_commas
from notifier.cards.templating.environment import CardEnvironment, placeholders_in_use
from notifier.cards.templating.faults import TemplateFault, line_text, name_nearest, written_path
from notifier.cards.templating.line_marks import LineMarks
from notifier.cards.templating.loading import CardLoader
from notifier.cards.templating.shipped import shipped_templates
from notifier.cards.templating.texts import (
    TextCatalogue,
    TextFiles,
    UnknownTextError,
    file_version,
    language_in_use,
    texts_in_use,
)
from notifier.cards.withdraw_buttons import find_button_problem, has_withdraw_ref
from notifier.domain.delivery import CardVariant
from notifier.domain.preferences.choices import CardLanguage
from notifier.errors import TemplateBroken

__all__ = ["OUR_TEMPLATES", "CardTemplates", "TemplateFault", "shipped_templates"]

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
SETTINGS_TEMPLATES = {
    CardVariant.FULL: "settings.json.j2",
    CardVariant.COMPACT: "settings.json.j2",
}
ANSWER_TEMPLATES = {CardVariant.FULL: "answer.json.j2", CardVariant.COMPACT: "answer_compact.json.j2"}
OUR_TEMPLATES = tuple(
    dict.fromkeys(
        name
        for kind in (
            BALANCE_TEMPLATES,
            WITHDRAWAL_TEMPLATES,
            DIGEST_TEMPLATES,
            PERSONAL_TEMPLATES,
            SETTINGS_TEMPLATES,
            ANSWER_TEMPLATES,
        )
        for name in kind.values()
    )
)
"""The templates that the service uses. The lowest variant, plain text, needs none."""


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
        self._own = own
        self._loader = CardLoader(own)
        self._environment = CardEnvironment(self._loader)
        self._texts = TextFiles(own)
        self._builder_cards: dict[str, tuple[object, BuilderCard]] = {}

    @property
    def texts(self) -> TextCatalogue:
        """The texts of cards, with the company's own ones. Files that changed are read again."""
        return self._texts.read()

    @contextmanager
    def using_texts(self, language: CardLanguage | None = None) -> Iterator[None]:
        """Make cards, toasts and plain messages in this block with the company's texts.

        language: the one that the reader chose; None: as outside of the block.
        """
        token = texts_in_use.set(self._texts.read())
        language_token = language_in_use.set(language or language_in_use.get())
        try:
            yield
        finally:
            texts_in_use.reset(token)
            language_in_use.reset(language_token)

    def names(self) -> list[str]:
        """Return the names of all card templates, without shared parts (`_….j2`)."""
        return [
            name
            for name in self._environment.list_templates(extensions=["j2"])
            if not name.startswith(("_", loading.SHIPPED_PREFIX))
        ]

    def file_of(self, name: str) -> str:
        """Return the path of the file that is used for a template; the name itself if there is none."""
        if self._own is not None and (file := self.builder_file(name)) is not None:
            return str(self._own / file)
        folders = [*([self._own] if self._own else []), shipped_templates()]
        return next((str(folder / name) for folder in folders if (folder / name).is_file()), name)

    def source_of(self, name: str) -> str:
        """Return where the template comes from: `own` or `shipped`."""
        if self._own is None:
            return "shipped"
        return "own" if (self._own / name).is_file() or self.builder_file(name) else "shipped"

    def builder_file(self, name: str) -> str | None:
        """Return the file of the card builder that takes the place of a template; None: there is none."""
        file = builder_file(self._own, name) if self._own is not None else None
        return file.name if file is not None and file.is_file() else None

    def blocks(self, name: str) -> list[str]:
        """Return the blocks that a template has or inherits. Raises TemplateBroken."""
        try:
            return loading.list_blocks(self._environment, name)
        except jinja2.TemplateError as error:
            raise self._broken(name, error) from error

    def changed_blocks(self, name: str) -> tuple[str | None, list[str]]:
        """Return the template that a template extends, or None, and the blocks in it. Raises TemplateBroken."""
        try:
            self._environment.get_template(name)
            parent = loading.find_parent(self._environment, name)
            return parent, loading.list_changed_blocks(self._environment, name)
        except jinja2.TemplateError as error:
            raise self._broken(name, error) from error

    def render(
        self, name: str, context: Mapping[str, object], *, trace: OutputTrace | None = None
    ) -> dict[str, Any]:
        """Render a template to parsed JSON. Raises TemplateBroken with file, line, the line's text and the reason.

        trace: for the linter, which maps the output to lines of the template.
        """
        placeholders = Placeholders(name)
        placeholders_token = placeholders_in_use.set(placeholders)
        texts_token = texts_in_use.set(self._texts.read(kept=texts_in_use.get()))
        try:
            if (builder := self._builder_card(name)) is not None:
                made = placeholders.fill(builder.render(context.get("card")))
                return _require_honest_buttons(made, context.get("card"), builder.file_name, is_builder=True)
            if trace is None:
                output = drop_extra_commas(self._environment.get_template(name).render(**context))
            else:  # its output has no comma too many
                output = trace.record(trace.template(self._environment, name).render(**context))
            made = placeholders.fill(_parsed(output, name))
            return _require_honest_buttons(made, context.get("card"), name, is_builder=False)
        except UnknownTextError as error:
            raise self._broken(name, error) from error
        except TemplateBroken:
            raise
        except json.JSONDecodeError as error:
            raise self._invalid_json(name, context, error).as_error("输出不是有效的 JSON") from error
        except Exception as error:
            raise self._broken(name, error) from error
        finally:
            texts_in_use.reset(texts_token)
            placeholders_in_use.reset(placeholders_token)

    def _builder_card(self, name: str) -> BuilderCard | None:
        """Return the builder's card that takes the place of a template; None: there is none."""
        if self._own is None:
            return None
        file = builder_file(self._own, name)
        version = file_version(str(file))
        if version is None:
            return None
        if (self._own / name).is_file():
            raise TemplateBroken(f"{file.name}: there is {name} beside it; remove one of the two")
        seen = (version, file_version(str(values_file(file))))
        kept = self._builder_cards.get(name)
        if kept is None or kept[0] != seen:
            kept = self._builder_cards[name] = (seen, BuilderCard(file, self._environment))
        return kept[1]

    def _broken(self, name: str, error: Exception) -> TemplateBroken:
        """Describe an error of Jinja, or one that an expression raised."""
        line: int | None
        if isinstance(error, jinja2.TemplateSyntaxError):
            place = error.name or name
            message, line = str(error.message), error.lineno
        elif isinstance(error, jinja2.TemplateNotFound):
            known = name_nearest(str(error.name), self.names(), noun="templates")
            zh = f"{error.name}：没有这个模板；现有：{', '.join(self.names())}"
            return TemplateBroken(f"{error.name}: there is no such template{known}", zh=zh)
        else:
            place, line = self._find_line(error, name)
            message = (
                str(error)
                if isinstance(error, jinja2.TemplateError | TemplateBroken)
                else f"{type(error).__name__}: {error}"
            )
        text = line_text(self._source(place), line)
        if isinstance(error, jinja2.UndefinedError) and " has no field " in message:
            field = message.partition(" has no field ")[2].partition(";")[0]
            path = written_path(text, field)
            message = f"{path}: {message}" if path else message
        kind = "语法错误" if isinstance(error, jinja2.TemplateSyntaxError) else "渲染失败"
        return TemplateFault(template=place, line=line, message=message, text=text).as_error(kind)

    def _find_line(self, error: BaseException, name: str) -> tuple[str, int | None]:
        """Return template and line. Jinja maps traceback entries to template lines.

        A shared macro is named if no template uses it, or if it is the company's own.
        """
        found: list[tuple[str, int]] = []
        trace = error.__traceback__
        while trace is not None:
            if (place := self._template_of(trace.tb_frame.f_code.co_filename)) is not None:
                found.append((place, trace.tb_lineno))
            trace = trace.tb_next
        outside = [
            each
            for each in found
            if not each[0].rpartition("/")[2].startswith("_") or self.source_of(each[0]) == "own"
        ]
        known = outside or found
        return known[-1] if known else (name, None)

    def _template_of(self, file: str) -> str | None:
        """Return the name of the template that a file holds; None: it holds none."""
        path = Path(file)
        if self._own is not None and path.is_relative_to(self._own):
            return path.relative_to(self._own).as_posix()
        if path.suffix != ".j2" or not path.is_relative_to(shipped_templates()):
            return None
        name = path.relative_to(shipped_templates()).as_posix()
        return f"{loading.SHIPPED_PREFIX}{name}" if self.source_of(name) == "own" else name

    def _source(self, name: str) -> str:
        try:
            return self._loader.get_source(self._environment, name)[0]
        except (jinja2.TemplateNotFound, OSError, UnicodeDecodeError):
            return ""

    def _invalid_json(
        self, name: str, context: Mapping[str, object], error: json.JSONDecodeError
    ) -> TemplateFault:
        """Find the line that wrote invalid JSON, by rendering the template again with marks."""
        try:
            marked = LineMarks(self._loader).find(name, context)
            _JSON.decode(blank_extra_commas(marked.text))
        except json.JSONDecodeError as again:
            place, line = marked.place(_find_start(again))
            return TemplateFault(
                template=place,
                line=line,
                message=_json_fault(again),
                text=line_text(self._source(place), line),
            )
        except Exception:  # noqa: BLE001, S110 - the first error is reported
            pass
        return TemplateFault(template=name, line=None, message=_json_fault(error))


def _require_honest_buttons(
    made: dict[str, Any], card: object, file: str, *, is_builder: bool
) -> dict[str, Any]:
    """Return the card. Raises TemplateBroken for a button that withdraws something else than it asks for."""
    if is_reference(made) and not is_builder:
        raise TemplateBroken(f"{file}: renders a reference to a published card; write it as NAME.card.json")
    if is_reference(made):
        if has_withdraw_ref(made, card):
            reason = (
                "a published card cannot have the withdraw button, because nobody can check what it asks for"
            )
            raise TemplateBroken(f"{file}: {reason}; export the card instead")
        return made
    problem = find_button_problem(made, card)
    if problem is not None:
        raise TemplateBroken(f"{file}: {problem}")
    return made


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


_WRONG_SIGNS = {
    "，": "this comma is full-width; write ,",
    "、": "this comma is Chinese; write ,",
    "：": "this colon is full-width; write :",
    "“": 'this quotation mark is curly; write "',
    "”": 'this quotation mark is curly; write "',
    "'": 'JSON has double quotation marks only; write "',
}
_JSON_REASONS = {
    "Expecting ',' delimiter": "a comma is missing before this",
    "Unterminated string starting at": "a closing quotation mark is missing after this",
    "Expecting property name enclosed in double quotes": "a name in double quotation marks is missing here",
    "Expecting ':' delimiter": "a colon is missing before this",
    "Expecting value": "a value is missing here",
}
"""By the message of Python's decoder."""


def _find_start(error: json.JSONDecodeError) -> int:
    """Where the fault begins. A text without its closing mark is noticed at the end of a line, but began before."""
    is_open_text = error.msg.startswith("Invalid control")
    return max(error.doc.rfind('"', 0, error.pos), 0) if is_open_text else error.pos


def _json_fault(error: json.JSONDecodeError) -> str:
    if not error.doc.strip():
        return "renders nothing: the card is empty"
    sign = error.doc[error.pos : error.pos + 1]
    reason = _WRONG_SIGNS.get(sign) or _JSON_REASONS.get(error.msg, error.msg)
    if error.msg.startswith("Invalid control"):
        reason = "a closing quotation mark is missing after this"
    start = _find_start(error)
    after = without_placeholders(error.doc[start : start + 80]).strip().partition("\n")[0]
    return f"renders invalid JSON: {reason}: {after[:60]}"
