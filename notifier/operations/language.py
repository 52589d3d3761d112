"""Language of the command line: Chinese or English, by the locale of the terminal."""

import os
from collections.abc import Mapping
from enum import StrEnum

from notifier.domain.card import Bilingual
from notifier.errors import NotifierError


class Language(StrEnum):
    """A language of the command line."""

    ZH = "zh"
    EN = "en"


def get_language(environ: Mapping[str, str] = os.environ) -> Language:
    """Returns the language of the locale: the first of LC_ALL, LC_MESSAGES and LANG that is set; English for others."""
    locale = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environ.get(name))), "")
    return Language.ZH if locale.lower().startswith("zh") else Language.EN


def say(text: Bilingual, language: Language | None = None) -> str:
    """Returns the text in a language. None: that of the locale."""
    return text.zh if (language or get_language()) is Language.ZH else text.en


def say_error(error: NotifierError, language: Language | None = None) -> str:
    """Return the message of an error in a language. None: that of the locale."""
    return localized(str(error), error.zh, language)


def localized(en: str, zh: str, language: Language | None = None) -> str:
    """Returns one of the two texts. language: None for that of the locale."""
    return zh if (language or get_language()) is Language.ZH else en
