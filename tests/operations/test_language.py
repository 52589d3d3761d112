"""The language of the command line follows the locale, as other programs do."""

import pytest

from notifier.domain.card import Bilingual
from notifier.operations.language import Language, get_language, say


@pytest.mark.parametrize(
    "environ, expected",
    [
        ({}, Language.EN),
        ({"LANG": "zh_CN.UTF-8"}, Language.ZH),
        ({"LANG": "zh"}, Language.ZH),
        ({"LANG": "C"}, Language.EN),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_US.UTF-8"}, Language.EN),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_TW"}, Language.ZH),
        ({"LC_ALL": "", "LANG": "zh_CN"}, Language.ZH),
    ],
)
def test_the_first_variable_that_is_set_decides(environ: dict[str, str], expected: Language) -> None:
    assert expected is get_language(environ)


def test_a_text_is_said_in_the_language(monkeypatch: pytest.MonkeyPatch) -> None:
    text = Bilingual(zh="好", en="good")
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")

    assert ("好", "good") == (say(text), say(text, Language.EN))
