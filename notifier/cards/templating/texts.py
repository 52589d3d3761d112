"""The fixed texts of cards, one file per language: shipped ones, and single ones that a company replaces.

A key is a dotted name, such as `balance.title.increase`. Values stand for names in braces, `{amount}`. A text is data
like every value on a card: it can never become markup.
"""

import functools
import logging
import os
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from notifier.cards.templating.faults import name_nearest
from notifier.cards.templating.shipped import shipped_templates
from notifier.domain.card import Bilingual
from notifier.domain.preferences.choices import CardLanguage
from notifier.errors import TemplateBroken

log = logging.getLogger(__name__)

LANGUAGES = ("zh", "en")
ONE = ".one"
"""End of the key of a text for one thing: it is used if `{count}` is 1. The key without it holds the other text."""
MAX_TEXT_LENGTH = 400
"""Characters of a text of the company."""


class UnknownTextError(TemplateBroken):
    """A template or a card asked for a text that does not exist, or left out a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFault:
    """A fault in a company's file of texts. The shipped text is used instead."""

    file: str
    """The name of the file."""
    line: int | None
    """Counted from 1. None: no line is known."""
    message: str
    """What is wrong."""

    @property
    def zh(self) -> str:
        """The place in Chinese, with the reason as it is."""
        place = f"{self.file} 第 {self.line} 行" if self.line else self.file
        return f"{place}（“{self.message}”）"

    def __str__(self) -> str:
        return (
            f"{self.file}, line {self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"
        )


class TextCatalogue:
    """The texts of cards in both languages."""

    def __init__(self, texts: Mapping[str, Mapping[str, str]], faults: Sequence[TextFault] = ()) -> None:
        """texts: by language and key. faults: of the company's files."""
        self.faults = tuple(faults)
        self._texts = {key: self._pair(texts, key) for key in texts["zh"] if not key.endswith(ONE)}
        self._one = {
            key: self._pair(texts, key, ONE)
            for key in self._texts
            if any(key + ONE in texts[each] for each in LANGUAGES)
        }

        self._with_values = frozenset(
            key for key, each in self._texts.items() if "{" in each.zh + each.en or "}" in each.zh + each.en
        )

    @staticmethod
    def _pair(texts: Mapping[str, Mapping[str, str]], key: str, end: str = "") -> Bilingual:
        zh, en = (texts[language].get(key + end, texts[language][key]) for language in LANGUAGES)
        return Bilingual(zh=zh, en=en)

    def __iter__(self) -> Iterator[str]:
        """Return all keys, without those for one thing."""
        return iter(self._texts)

    def text(self, key: str, values: Mapping[str, Any]) -> Bilingual:
        """Return a text with its values. Raises UnknownTextError.

        values: texts and numbers, the same in both languages, or texts in both languages.
        """
        found = self._texts.get(key)
        if found is None:
            raise UnknownTextError(
                f"there is no text {key!r}{name_nearest(key, self._texts, noun='texts')[:400]}"
            )
        if not values:
            return self._filled(key, found, values, values) if key in self._with_values else found
        if values.get("count") == 1:
            found = self._one.get(key, found)
        in_english = values
        for value in values.values():
            if type(value) is Bilingual or type(value) is Markup or type(value) is dict:
                values, in_english = _by_language(key, values)
                break
        return self._filled(key, found, values, in_english)

    @staticmethod
    def _filled(key: str, found: Bilingual, zh: Mapping[str, Any], en: Mapping[str, Any]) -> Bilingual:
        try:
            return Bilingual(zh=found.zh.format_map(zh), en=found.en.format_map(en))
        except KeyError as error:
            raise UnknownTextError(f"the text {key} needs a value for {error.args[0]}") from error


def _by_language(key: str, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    zh, en = dict(values), dict(values)
    for name, value in values.items():
        if type(value) is Bilingual:
            zh[name], en[name] = value.zh, value.en
        elif type(value) is dict:  # of a file with variables, for a preview
            zh[name], en[name] = value["zh"], value["en"]
        elif isinstance(value, Markup):
            raise UnknownTextError(f"the text {key} takes values, not finished JSON, for {name}")
    return zh, en


class TextFiles:
    """Reads the shipped files and those of a company, and reads them again when they change."""

    def __init__(self, own: Path | None = None) -> None:
        """own: the folder of the company; None: there are only shipped texts."""
        folders = [shipped_templates(), *([own] if own else [])]
        self._files = [str(folder / f"texts.{language}.yaml") for folder in folders for language in LANGUAGES]
        self._own = own
        self._seen: list[tuple[int, int] | None] = []
        self._catalogue: TextCatalogue | None = None

    def read(self, *, kept: TextCatalogue | None = None) -> TextCatalogue:
        """Return the texts as the files are now. A fault is logged once; its text stays as it is shipped.

        kept: the texts with which the card was begun. They stay, without another look at the files, if they are ours.
        """
        if kept is not None and kept is self._catalogue:
            return kept
        seen = [file_version(file) for file in self._files]
        if self._catalogue is None or seen != self._seen:
            self._catalogue = self._read()
            self._seen = seen
            for fault in self._catalogue.faults:
                log.error("card.text_ignored", extra={"reason": str(fault)})
        return self._catalogue

    def _read(self) -> TextCatalogue:
        shipped = {language: dict(_read_shipped(language)) for language in LANGUAGES}
        if self._own is None:
            return TextCatalogue(shipped)
        faults: list[TextFault] = []
        texts = {}
        for language in LANGUAGES:
            own, found = read_own_texts(self._own / f"texts.{language}.yaml", language, shipped)
            texts[language] = shipped[language] | own
            faults += found
        return TextCatalogue(texts, faults)


def file_version(file: str) -> tuple[int, int] | None:
    """Return what changes with a file; None: it does not exist."""
    try:
        found = os.stat(file)  # noqa: PTH116 - before every card; a Path takes three times as long
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _read_shipped(language: str) -> Mapping[str, str]:
    file = shipped_templates() / f"texts.{language}.yaml"
    return _parse_shipped(file, file_version(str(file)))


@functools.lru_cache(maxsize=8)
def _parse_shipped(file: Path, _: object) -> Mapping[str, str]:
    found: Mapping[str, str] = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    return found


def read_own_texts(
    file: Path, language: str, shipped: Mapping[str, Mapping[str, str]]
) -> tuple[dict[str, str], list[TextFault]]:
    """Return the texts of a company's file that can be used, and what is wrong with the others.

    A file that does not exist has none.
    """
    try:
        source = file.read_text(encoding="utf-8")
        found = YAML(typ="safe", pure=True).load(source)
    except FileNotFoundError:
        return {}, []
    except Exception as error:  # noqa: BLE001 - a value such as 2026-13-45 raises whatever its reader raises
        return {}, [_read_fault(file.name, error)]
    if found is None:
        return {}, []
    if not isinstance(found, dict):
        return {}, [TextFault(file=file.name, line=None, message="is not a list of `key: text`")]
    texts, faults = {}, []
    for key, value in found.items():
        problem = _find_problem(str(key), value, language, shipped)
        if problem is None:
            texts[str(key)] = str(value)
        else:
            line = _line_of(source, str(key))
            faults.append(TextFault(file=file.name, line=line, message=f"{key}: {problem}"))
    return texts, faults


def _read_fault(file: str, error: Exception) -> TextFault:
    if isinstance(error, YAMLError):
        return _yaml_fault(file, error)
    if isinstance(error, OSError | UnicodeDecodeError):
        return TextFault(file=file, line=None, message=f"cannot be read: {error}")
    return TextFault(file=file, line=None, message=f"is not YAML: {error}; put each text in quotation marks")


def _yaml_fault(file: str, error: YAMLError) -> TextFault:
    if not isinstance(error, MarkedYAMLError):
        return TextFault(file=file, line=None, message=f"is not YAML: {error}")
    mark = error.problem_mark or error.context_mark
    problem = str(error.problem or error.context or "wrong YAML").partition("\n")[0]
    return TextFault(file=file, line=mark.line + 1 if mark else None, message=f"is not YAML: {problem}")


def _line_of(source: str, key: str) -> int | None:
    pattern = re.compile(rf"[\"']?{re.escape(key)}[\"']?\s*:")
    return next((number for number, line in enumerate(source.splitlines(), 1) if pattern.match(line)), None)


def _find_problem(
    key: str, value: object, language: str, shipped: Mapping[str, Mapping[str, str]]
) -> str | None:
    """Return what is wrong with a text of the company; None: nothing."""
    if all(key not in texts for texts in shipped.values()):
        if isinstance(value, dict):
            return f"write the whole key on one line, such as `{key}.{next(iter(value), 'name')}: …`"
        nearest = name_nearest(key, shipped[language], noun="texts").partition("; texts")[0]
        return f"there is no such text{nearest}"
    if not isinstance(value, str):
        return f"is {_kind(value)}, not a text; put it in quotation marks"
    if not value.strip():
        return "is empty; a card cannot show it"
    if len(value) > MAX_TEXT_LENGTH:
        return f"has {len(value)} characters; at most {MAX_TEXT_LENGTH} are allowed"
    known = placeholders_of(shipped[language][key.removesuffix(ONE)])
    return _placeholder_problem(value, known, needed=known - {"count"} if key.endswith(ONE) else known)


def _placeholder_problem(value: str, known: set[str], *, needed: set[str]) -> str | None:
    try:
        names = placeholders_of(value)
    except ValueError as error:
        return f"{error}; write a brace as {{{{ or }}}}"
    if unknown := sorted(names - known):
        nearest = name_nearest(unknown[0], sorted(known), noun="placeholders")
        return f"has an unknown placeholder {{{unknown[0]}}}{nearest}"
    missing = sorted(needed - names)
    return f"lacks the placeholder {', '.join(f'{{{name}}}' for name in missing)}" if missing else None


def _kind(value: object) -> str:
    kinds = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "a group",
        type(None): "empty",
    }
    return kinds.get(type(value), type(value).__name__)


def placeholders_of(template: str) -> set[str]:
    """Return the names in braces. Raises ValueError for anything else in braces, and for a single brace."""
    names = set()
    for _, name, form, conversion in string.Formatter().parse(template):
        if name is None:
            continue
        if not name.isidentifier() or form or conversion:
            raise ValueError(f"{{{name}}} is not a placeholder")
        names.add(name)
    return names


@functools.cache
def _shipped_files() -> TextFiles:
    return TextFiles()


texts_in_use: ContextVar[TextCatalogue | None] = ContextVar("texts", default=None)
"""The texts of the card that is being made. None: the shipped ones."""


def current_texts() -> TextCatalogue:
    """Return the texts in use."""
    return texts_in_use.get() or _shipped_files().read()


def text(key: str, **values: Any) -> Bilingual:  # noqa: ANN401 - texts and numbers
    """Return a text of the catalogue in use, with its values: `t("account", account=card.account_id)`.

    Raises UnknownTextError.
    """
    return current_texts().text(key, values)


language_in_use: ContextVar[CardLanguage] = ContextVar("language", default=CardLanguage.FEISHU)
"""The language that the reader of the card chose that is being made."""


def side_by_side(shown: Bilingual, separator: str = " / ") -> str:
    """Return both languages in one text, for plain messages and for cells that are the same in every language.

    For a reader who chose a language, it is the text in this language.
    """
    match language_in_use.get():
        case CardLanguage.ZH:
            return shown.zh
        case CardLanguage.EN:
            return shown.en
        case _:
            return f"{shown.zh}{separator}{shown.en}"
