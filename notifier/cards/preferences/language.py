"""Language: a card with both languages becomes a card with the one that its reader chose."""

from collections.abc import Mapping
from typing import Any

from notifier.domain.preferences.choices import CardLanguage

LOCALES = {CardLanguage.ZH: "zh_cn", CardLanguage.EN: "en_us"}
_PREFIX = "i18n_"
_PLAIN_NAMES = {"i18n_content": "content", "i18n_text_tag_list": "text_tag_list"}


def keep_language(card: dict[str, Any], language: CardLanguage) -> dict[str, Any]:
    """Return the card JSON with the texts of one language. FEISHU: the card as it is."""
    locale = LOCALES.get(language)
    if locale is None:
        return card
    kept: dict[str, Any] = _keep(card, locale)
    return kept


def _keep(node: Any, locale: str) -> Any:  # noqa: ANN401 - JSON
    match node:
        case dict():
            kept = {name: _keep(value, locale) for name, value in node.items() if not _is_choice(name, value)}
            for name, value in node.items():
                if _is_choice(name, value) and locale in value:
                    kept[_PLAIN_NAMES.get(name, name.removeprefix(_PREFIX))] = _keep(value[locale], locale)
                elif _is_choice(name, value):  # a company's own card without this language
                    kept[name] = value
            return kept
        case list():
            return [_keep(each, locale) for each in node]
        case _:
            return node


def _is_choice(name: str, value: object) -> bool:
    return name.startswith(_PREFIX) and isinstance(value, dict)


def keep_toast_language(toast: Mapping[str, Any], language: CardLanguage) -> Mapping[str, Any]:
    """Return a toast with the text of one language. FEISHU: the toast as it is."""
    locale = LOCALES.get(language)
    texts = toast.get("i18n")
    if locale is None or not isinstance(texts, dict) or locale not in texts:
        return toast
    return {**{name: value for name, value in toast.items() if name != "i18n"}, "content": texts[locale]}
