"""Warnings about the card as a whole: settings, header, languages, size."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from notifier.cards.rules.walk import FoundProblem, Path

Warnings = Iterator[FoundProblem]
Json = Mapping[str, object]

UNREAD_KEYS = frozenset({"chart_spec", "value", "rows", "streaming_config"})
"""Keys whose values are data, not parts of a card."""
SAFE_CHARTS = 5
TITLE_LINES = 4
_CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_LATIN = re.compile(r"[A-Za-z]{2}")
_TEXT_TAGS = ("plain_text", "lark_md", "markdown")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """What the warnings need to know about a card."""

    nodes: tuple[tuple[Path, Json], ...]
    """Every object in the card with its path, in document order."""
    languages: tuple[str, ...]
    """The languages of all texts, in the order in which they first appear."""
    has_callback: bool
    """Whether a click sends a callback."""

    @classmethod
    def of(cls, card: object) -> "CardFacts":
        """Collect the facts of a card."""
        nodes = tuple(_iter_nodes((), card))
        languages = [key for _, node in nodes for each in _language_maps(node).values() for key in each]
        is_callback = (node.get("type") == "callback" and "value" in node for _, node in nodes)
        is_submit = (node.get("form_action_type") == "submit" for _, node in nodes)
        return cls(
            nodes=nodes,
            languages=tuple(dict.fromkeys(languages)),
            has_callback=any(is_callback) or any(is_submit),
        )


def _iter_nodes(path: Path, value: object) -> Iterator[tuple[Path, Json]]:
    if isinstance(value, dict):
        yield path, value
        for key, member in value.items():
            if key not in UNREAD_KEYS:
                yield from _iter_nodes((*path, key), member)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _iter_nodes((*path, index), member)


def _language_maps(node: Json) -> dict[str, Json]:
    """The attributes of an object that have a value for each language."""
    return {key: value for key, value in node.items() if key.startswith("i18n_") and isinstance(value, dict)}


def _object(card: Json, key: str) -> Json:
    value = card.get(key)
    return value if isinstance(value, dict) else {}


def _found(path: Path, rule: str, message: str) -> FoundProblem:
    return FoundProblem(path=path, rule=rule, message=message)


def _summary(card: Json, _facts: CardFacts) -> Warnings:
    summary = _object(_object(card, "config"), "summary")
    if not summary.get("content") and not summary.get("i18n_content"):
        yield _found(("config", "summary"), "summary-missing", "The card has no config.summary.")


def _forwarding(card: Json, facts: CardFacts) -> Warnings:
    config = _object(card, "config")
    if facts.has_callback and config.get("enable_forward") is not False:
        message = "The card has a callback button, and enable_forward is not false."
        yield _found(("config", "enable_forward"), "forward-button", message)
    if config.get("enable_forward_interaction") is True:
        message = "People in other chats can press the buttons of a forwarded copy."
        yield _found(("config", "enable_forward_interaction"), "forward-interaction", message)


def _update_multi(card: Json, facts: CardFacts) -> Warnings:
    if facts.has_callback and "update_multi" not in _object(card, "config"):
        message = "The card has a callback button, and config.update_multi is not spelled out."
        yield _found(("config", "update_multi"), "update-multi", message)


def _header(card: Json, _facts: CardFacts) -> Warnings:
    header = _object(card, "header")
    for key, most in (("title", TITLE_LINES), ("subtitle", 1)):
        text = _object(header, key)
        contents: dict[Path, object] = {("content",): text.get("content")}
        contents |= {("i18n_content", name): each for name, each in _object(text, "i18n_content").items()}
        for below, content in contents.items():
            lines = content.count("\n") + 1 if isinstance(content, str) else 0
            if lines > most:
                message = f"This has {lines} lines; the {key} shows at most {most}."
                yield _found(("header", key, *below), "header-lines", message)


def _charts(_card: Json, facts: CardFacts) -> Warnings:
    charts = [path for path, node in facts.nodes if node.get("tag") == "chart"]
    for path in charts[SAFE_CHARTS : SAFE_CHARTS + 1]:
        message = f"The card has {len(charts)} charts; Feishu recommends at most {SAFE_CHARTS}."
        yield _found(path, "chart-count", message)


def _languages(_card: Json, facts: CardFacts) -> Warnings:
    """Texts that lack a language which other texts of the card have."""
    for path, node in facts.nodes:
        maps = _language_maps(node)
        for key, by_language in maps.items():
            absent = [each for each in facts.languages if each not in by_language]
            if absent:
                message = f"This lacks {', '.join(absent)}, which other texts of the card have."
                yield _found((*path, key), "language-missing", message)
        if "i18n_content" not in maps and _needs_translation(path, node, facts.languages):
            message = "This text is only Chinese, while other texts of the card have English."
            yield _found((*path, "content"), "language-missing", message)
        name = node.get("display_name")
        if (
            "en_us" in facts.languages
            and isinstance(name, str)
            and is_chinese(name)
            and not _LATIN.search(name)
        ):
            message = "A column title has no translation, and this one is only Chinese."
            yield _found((*path, "display_name"), "language-missing", message)


def _needs_translation(path: Path, node: Json, languages: tuple[str, ...]) -> bool:
    content = node.get("content")
    is_text = node.get("tag") in _TEXT_TAGS or path == ("config", "summary")
    is_of_one_language = any(isinstance(step, str) and step.startswith("i18n_") for step in path)
    is_data = "options" in path  # names in a select are the same in every language
    return (
        is_text
        and not is_of_one_language
        and not is_data
        and "en_us" in languages
        and isinstance(content, str)
        and is_chinese(content)
    )


def is_chinese(text: str) -> bool:
    """Whether a text has a Chinese character."""
    return _CHINESE.search(text) is not None


def _locales(card: Json, facts: CardFacts) -> Warnings:
    locales = _object(card, "config").get("locales")
    if not isinstance(locales, list):
        return
    unused = [each for each in facts.languages if each not in locales]
    if unused:
        message = f"Texts in {', '.join(unused)} are never shown, because config.locales does not list them."
        yield _found(("config", "locales"), "locale-inactive", message)


CARD_WARNINGS: tuple[Callable[[Json, CardFacts], Warnings], ...] = (
    _summary,
    _forwarding,
    _update_multi,
    _header,
    _charts,
    _languages,
    _locales,
)
