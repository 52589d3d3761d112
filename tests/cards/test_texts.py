"""Texts: one catalogue per language; a company replaces single ones, and every mistake is named."""

import os
import re
from pathlib import Path

import pytest

from notifier.cards.templates import OUR_TEMPLATES, CardTemplates
from notifier.cards.templating.shipped import shipped_templates
from notifier.cards.templating.texts import (
    LANGUAGES,
    ONE,
    TextCatalogue,
    TextFiles,
    UnknownTextError,
    placeholders_of,
    text,
)
from notifier.config.settings import Config
from notifier.domain.card import Bilingual
from notifier.operations.sample_cards import list_samples, make_sample

CHINESE = re.compile(r"[\u4e00-\u9fff]")
ROOT = Path(__file__).parents[2]
CARDS = ROOT / "notifier" / "cards"


def catalogue(own: Path) -> TextCatalogue:
    return TextFiles(own).read()


def faults(own: Path, source: str, language: str = "zh") -> list[str]:
    (own / f"texts.{language}.yaml").write_text(source, encoding="utf-8")
    return [str(fault) for fault in catalogue(own).faults]


def shipped(language: str) -> dict[str, str]:
    lines = (shipped_templates() / f"texts.{language}.yaml").read_text(encoding="utf-8").splitlines()
    return dict(line.split(": ", 1) for line in lines if line and not line.startswith("#"))


def test_both_languages_have_the_same_keys() -> None:
    zh, en = ({key for key in shipped(language) if not key.endswith(ONE)} for language in LANGUAGES)

    assert zh == en


def test_both_languages_have_the_same_placeholders() -> None:
    zh, en = shipped("zh"), shipped("en")

    assert {} == {key: zh[key] for key in zh if placeholders_of(zh[key]) != placeholders_of(en[key])}


def test_no_text_of_a_card_stands_in_a_template_or_in_the_code() -> None:
    """Comments may be Chinese, and separators of amounts are no words."""
    templates = list(shipped_templates().glob("*.j2"))
    found = {
        path.name: CHINESE.findall(
            re.sub(r"\{#.*?#\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        )
        for path in templates
    }

    assert templates
    assert {} == {name: words for name, words in found.items() if words}


def test_every_text_is_used() -> None:
    """By its key, or by the beginning of its key with a state behind it."""
    files = [*shipped_templates().glob("*.j2"), *CARDS.rglob("*.py")]
    source = "\n".join(path.read_text(encoding="utf-8") for path in files)

    def is_used(key: str) -> bool:
        start = key.rpartition(".")[0] + "."
        return f'"{key}"' in source or f"'{key}'" in source or f'{start}"' in source or f"{start}{{" in source

    assert [] == [key for key in TextFiles().read() if not is_used(key)]


def test_a_company_replaces_a_single_text(tmp_path: Path) -> None:
    (tmp_path / "texts.zh.yaml").write_text("balance.title.increase: 内推奖金到啦\n", encoding="utf-8")
    card = CardTemplates(tmp_path).render(
        "balance_change.json.j2", {"card": make_sample("increase", Config())}
    )

    title = card["header"]["title"]["i18n_content"]
    assert {"zh_cn": "内推奖金到啦", "en_us": "Referral reward received"} == title


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    templates, file = CardTemplates(tmp_path), tmp_path / "texts.en.yaml"
    assert "Withdraw" == templates.texts.text("withdrawal.button", {}).en
    file.write_text("withdrawal.button: Cash out\n")
    assert "Cash out" == templates.texts.text("withdrawal.button", {}).en
    file.write_text("withdrawal.button: Pay me\n")
    os.utime(file, (2_000_000_000, 2_000_000_000))

    assert "Pay me" == templates.texts.text("withdrawal.button", {}).en


@pytest.mark.parametrize(
    "hostile", ["<at id=all></at>", "**b**", '"', "[x](http://e.invalid)", "{{{{ 7*7 }}}}"]
)
def test_a_text_never_becomes_markup(tmp_path: Path, hostile: str) -> None:
    (tmp_path / "texts.zh.yaml").write_text(f"balance.changed_at: '{hostile}'\n", encoding="utf-8")
    card = CardTemplates(tmp_path).render(
        "balance_change.json.j2", {"card": make_sample("increase", Config())}
    )
    shown = card["body"]["elements"][-1]["content"]

    assert hostile not in shown
    assert not re.search(r"<at|\*\*|\[x|\{\{", shown)


def test_every_card_is_rendered_with_texts_of_a_company(tmp_path: Path) -> None:
    """Every shipped text is replaced by one with the same placeholders."""
    for language in LANGUAGES:
        lines = (shipped_templates() / f"texts.{language}.yaml").read_text(encoding="utf-8").splitlines()
        own = [re.sub(r': "', ': "@', line) for line in lines]
        (tmp_path / f"texts.{language}.yaml").write_text("\n".join(own), encoding="utf-8")
    templates = CardTemplates(tmp_path)

    assert () == templates.texts.faults
    for name in OUR_TEMPLATES:
        for sample in list_samples(name):
            with templates.using_texts():
                card = templates.render(
                    name, {"card": make_sample(sample, Config(), allowed=list_samples(name))}
                )
            assert card["header"]["title"]["content"].startswith("@")


@pytest.mark.parametrize(
    "source, fault",
    [
        (
            "balance.titel.increase: x",
            "line 1: balance.titel.increase: there is no such text; nearest: balance.title.increase",
        ),
        ("\nbalance.summary: 奖励", "line 2: balance.summary: lacks the placeholder {amount}"),
        (
            'balance.summary: "{amuont} {amount}"',
            "line 1: balance.summary: has an unknown placeholder {amuont}; nearest: amount; placeholders: amount",
        ),
        (
            "withdrawal.button: 5",
            "line 1: withdrawal.button: is a number, not a text; put it in quotation marks",
        ),
        ("withdrawal.button: [提现]", "line 1: withdrawal.button: is a list, not a text"),
        ("withdrawal.button:", "line 1: withdrawal.button: is empty, not a text"),
        ('withdrawal.button: " "', "line 1: withdrawal.button: is empty; a card cannot show it"),
        (
            "balance:\n  summary: x",
            "line 1: balance: write the whole key on one line, such as `balance.summary: …`",
        ),
        ('balance.summary: "{amount} {"', "balance.summary: "),
        ('balance.summary: "{amount.real}"', "{amount.real} is not a placeholder"),
        ('withdrawal.button: "提现\n\nx: 1', "is not YAML"),
        ("withdrawal.button: a\nwithdrawal.button: b", "line 2: is not YAML"),
        ("- 提现", "texts.zh.yaml: is not a list of `key: text`"),
        (f"withdrawal.button: {'长' * 401}", "has 401 characters; at most 400 are allowed"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(tmp_path: Path, source: str, fault: str) -> None:
    (found,) = faults(tmp_path, source)

    assert found.startswith("texts.zh.yaml")
    assert fault in found


def test_a_wrong_text_stays_as_it_is_shipped(tmp_path: Path) -> None:
    faults(tmp_path, "withdrawal.button: 5\nwithdrawal.panel.paid: 已到账\n")
    texts = catalogue(tmp_path)

    assert Bilingual(zh="提现", en="Withdraw") == texts.text("withdrawal.button", {})
    assert "已到账" == texts.text("withdrawal.panel.paid", {}).zh


def test_one_thing_has_a_text_of_its_own() -> None:
    one, two = (text("digest.changed_accounts", count=count) for count in (1, 2))

    assert ("1 account with balance changes", "2 accounts with balance changes") == (one.en, two.en)
    assert ("1 个账户的余额有变动", "2 个账户的余额有变动") == (one.zh, two.zh)


def test_a_text_for_one_thing_need_not_count_it(tmp_path: Path) -> None:
    assert [] == faults(tmp_path, "digest.changed_accounts.one: One account changed", "en")
    assert "One account changed" == catalogue(tmp_path).text("digest.changed_accounts", {"count": 1}).en


def test_a_value_in_both_languages_goes_to_each_of_them() -> None:
    label = Bilingual(zh="积分", en="Points")

    assert Bilingual(zh="积分 5", en="Points 5") == text("amount.labelled", label=label, amount="5")


def test_braces_in_a_value_stay() -> None:
    assert "账户 {account} {0}" == text("account", account="{account} {0}").zh


@pytest.mark.parametrize(
    "call, reason",
    [
        (
            't("balance.titel.increase")',
            "there is no text 'balance.titel.increase'; nearest: balance.title.increase",
        ),
        ('t("balance.summary")', "the text balance.summary needs a value for amount"),
        ('t("balance.summary", amount=parts.words("a", "b"))', "takes values, not finished JSON, for amount"),
    ],
)
def test_a_template_that_asks_for_a_wrong_text_is_named(tmp_path: Path, call: str, reason: str) -> None:
    (tmp_path / "mine.json.j2").write_text('{\n"x": { ' + "{{ parts.words(" + call + ") }} }}")

    with pytest.raises(UnknownTextError.__mro__[1]) as broken:
        CardTemplates(tmp_path).render("mine.json.j2", {})
    assert str(broken.value).startswith("mine.json.j2, line 2: ")
    assert reason in str(broken.value)
