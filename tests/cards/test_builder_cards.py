"""Cards from Feishu's card builder: exported ones with variables, and references to published ones."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from notifier.cards.linter import lint_template
from notifier.cards.rules import card_problems
from notifier.cards.templates import CardTemplates
from notifier.cards.templating.card_variables import variables_of
from notifier.clock import SystemClock
from notifier.config.loader import load_config
from notifier.config.settings import Config
from notifier.domain.card import BalanceChangeCard, WithdrawalCard
from notifier.domain.delivery import CardVariant
from notifier.domain.digest_card import DigestCard
from notifier.errors import TemplateBroken
from notifier.operations.checks import check_configuration
from notifier.operations.sample_cards import list_samples, make_sample
from notifier.runtime.factories import make_renderer

NAME = "balance_change.json.j2"
BUTTON = {
    "tag": "button",
    "text": {"tag": "plain_text", "content": "提现"},
    "behaviors": [{"type": "callback", "value": {"ref": "${withdrawal_ref}"}}],
    "confirm": {
        "title": {"tag": "plain_text", "content": "确认"},
        "text": {
            "tag": "plain_text",
            "content": "提现 ${withdrawal_amounts_1_text} ${withdrawal_amounts_2_text}",
        },
    },
}


def exported(*elements: object) -> dict[str, Any]:
    """A card as the builder exports it."""
    card = {
        "schema": "2.0",
        "config": {"update_multi": True},
        "header": {"template": "green", "title": {"tag": "plain_text", "content": "到账 ${lines_1_delta}"}},
        "body": {"elements": list(elements)},
    }
    return {"name": "reward", "dsl": card, "variables": [{"name": "lines_1_delta"}]}


def markdown(content: str) -> dict[str, str]:
    return {"tag": "markdown", "content": content}


def render(folder: Path, document: object, *, values: str = "", sample: str = "increase") -> dict[str, Any]:
    (folder / "balance_change.card.json").write_text(
        json.dumps(document, ensure_ascii=False), encoding="utf-8"
    )
    if values:
        (folder / "balance_change.card.yaml").write_text(values, encoding="utf-8")
    return CardTemplates(folder).render(NAME, {"card": make_sample(sample, Config())})


def broken(folder: Path, document: object, **options: str) -> str:
    with pytest.raises(TemplateBroken) as complaint:
        render(folder, document, **options)
    return str(complaint.value)


def test_an_exported_card_takes_the_place_of_the_template(tmp_path: Path) -> None:
    card = render(tmp_path, exported(markdown("余额 **${lines_1_after}**")))

    assert "到账 +¥500.00" == card["header"]["title"]["content"]
    assert "余额 **¥1,200&#46;00**" == card["body"]["elements"][0]["content"]
    assert [] == card_problems(card)


def test_a_bare_card_is_taken_as_well(tmp_path: Path) -> None:
    assert "到账 +¥500.00" == render(tmp_path, exported(markdown("x"))["dsl"])["header"]["title"]["content"]


def test_data_stays_data(tmp_path: Path) -> None:
    document = exported(
        markdown("${referrer_name_zh}"),
        {"tag": "div", "text": {"tag": "plain_text", "content": "${referrer_name_zh}"}},
    )
    card = render(tmp_path, document, sample="hostile")
    first, second = card["body"]["elements"]

    assert "<at" not in first["content"]
    assert "[x]" not in first["content"]
    assert second["text"]["content"].startswith("<at id=all></at>[x](http")
    assert [] == card_problems(card)


def test_a_value_may_be_an_expression(tmp_path: Path) -> None:
    values = "sentence: 't(\"balance.summary\", amount=card.lines[0].delta).zh'\nrows: card.lines | length\n"
    card = render(tmp_path, exported(markdown("${sentence}"), {"tag": "hr", "n": "${rows}"}), values=values)

    assert ["内推奖励 &#43;¥500&#46;00", 2] == [
        card["body"]["elements"][0]["content"],
        card["body"]["elements"][1]["n"],
    ]


def test_an_unknown_variable_names_those_that_exist(tmp_path: Path) -> None:
    complaint = broken(tmp_path, exported(markdown("${referer_name_zh}")))

    assert complaint.startswith(
        "balance_change.card.json: there is no variable referer_name_zh; nearest: referrer_name_zh; variables: "
    )


@pytest.mark.parametrize(
    "values, reason",
    [
        (
            "x: card.referer.name.zh",
            "the value of x, card.referer.name.zh: BalanceChangeCard has no field referer; nearest: referrer",
        ),
        ("x: card.", "the value of x, 'card.': "),
        ('x: t("account", account="1")', "the value of x is in both languages; add .zh or .en"),
        ("- x", "balance_change.card.yaml: is not a list of `variable: expression`"),
        ("x: [", "balance_change.card.yaml: cannot be read"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, values: str, reason: str) -> None:
    assert reason in broken(tmp_path, exported(markdown("${x}")), values=values)


def test_a_button_needs_the_reference_and_nothing_else(tmp_path: Path) -> None:
    wrong = {
        **BUTTON,
        "behaviors": [{"type": "callback", "value": {"ref": "${withdrawal_ref}", "amount": "1"}}],
    }

    assert "the value of a button must be" in broken(tmp_path, exported(wrong), sample="withdraw")


def test_a_button_is_left_out_where_nothing_can_be_withdrawn(tmp_path: Path) -> None:
    with_button = render(tmp_path, exported(BUTTON), sample="withdraw")
    without = render(tmp_path, exported(BUTTON, markdown("x")), sample="increase")

    assert {"ref"} == set(with_button["body"]["elements"][0]["behaviors"][0]["value"])
    assert ["markdown"] == [each["tag"] for each in without["body"]["elements"]]


def test_a_text_that_is_empty_is_left_out(tmp_path: Path) -> None:
    card = render(tmp_path, exported(markdown("${reroute_reason_zh}"), markdown("x")))

    assert ["x"] == [each["content"] for each in card["body"]["elements"]]


def test_a_saved_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "balance_change.card.json"
    file.write_text(json.dumps(exported(markdown("a"))))
    templates, context = CardTemplates(tmp_path), {"card": make_sample("increase", Config())}
    assert "a" == templates.render(NAME, context)["body"]["elements"][0]["content"]
    file.write_text(json.dumps(exported(markdown("b"))))
    os.utime(file, (2_000_000_000, 2_000_000_000))

    assert "b" == templates.render(NAME, context)["body"]["elements"][0]["content"]


@pytest.mark.parametrize("text, reason", [("{", "line 1: is not JSON"), ("[]", "is list, not a JSON object")])
def test_a_wrong_file_is_named(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "balance_change.card.json").write_text(text)

    with pytest.raises(TemplateBroken, match=f"balance_change.card.json.*{reason}"):
        CardTemplates(tmp_path).render(NAME, {"card": make_sample("increase", Config())})


def test_two_files_for_one_card_are_an_error(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("{}")

    assert "there is balance_change.json.j2 beside it; remove one of the two" in broken(tmp_path, exported())


REFERENCE = {
    "template_id": "AAqExample",
    "template_version_name": "1.0.2",
    "variables": {
        "amount": "card.lines[0].delta",
        "name": "card.referrer.name.zh if card.referrer else ''",
        "lines": "card.lines",
    },
}


def test_a_reference_is_sent_with_its_variables(tmp_path: Path) -> None:
    card = render(tmp_path, REFERENCE)
    variables = card["data"].pop("template_variable")

    assert {
        "type": "template",
        "data": {"template_id": "AAqExample", "template_version_name": "1.0.2"},
    } == card
    assert ("+¥500.00", "示例同事") == (variables["amount"], variables["name"])
    assert ["¥1,200.00", "120"] == [line["after"] for line in variables["lines"]]


def test_a_reference_sends_no_markup(tmp_path: Path) -> None:
    name = render(tmp_path, REFERENCE, sample="hostile")["data"]["template_variable"]["name"]

    assert name.startswith("＜at id=all＞＜/at＞［x］(http")


def test_a_reference_passes_the_renderer(tmp_path: Path) -> None:
    (tmp_path / "balance_change.card.json").write_text(json.dumps(REFERENCE))
    config = Config.model_validate({"cards": {"template_dir": tmp_path}})
    renderer = make_renderer(config, SystemClock())

    for variant in (CardVariant.FULL, CardVariant.NO_MEDIA):
        assert "template" == renderer.card(variant, make_sample("increase", config))["type"]


def check_results(folder: Path) -> dict[str, bool]:
    (folder / "c.yaml").write_text("cards: {template_dir: templates}\n")
    results = check_configuration(load_config(folder / "c.yaml"), SystemClock())
    return {result.subject.en: result.is_ok for result in results if "card.json" in result.subject.en}


def test_the_check_warns_of_a_reference_without_a_version(tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    folder.mkdir()
    file = folder / "balance_change.card.json"
    file.write_text(json.dumps(REFERENCE))
    samples = len(list_samples(NAME))
    assert {f"template balance_change.card.json (own), {samples} samples": True} == check_results(tmp_path)
    file.write_text(json.dumps({**REFERENCE, "template_version_name": ""}))

    (found,) = check_results(tmp_path).items()
    assert found[0].startswith("template balance_change.card.json: has no template_version_name; ")
    assert not found[1]


@pytest.mark.parametrize("kind", [BalanceChangeCard, WithdrawalCard, DigestCard])
def test_every_variable_of_a_sample_can_be_read(kind: type) -> None:
    names = variables_of(kind)

    assert {"account_id", "withdrawal_ref", "referrer_name_zh"} <= set(names)
    assert all(name.replace("_", "a").isalnum() for name in names)


@pytest.mark.parametrize(
    "trick", ["card.__class__.__mro__", "''.__class__", "range(999999999)", "cycler.__init__"]
)
def test_an_expression_cannot_reach_into_the_program(tmp_path: Path, trick: str) -> None:
    assert "the value of x" in broken(tmp_path, exported(markdown("${x}")), values=f'x: "{trick}"')


def test_the_linter_names_the_builders_file(tmp_path: Path) -> None:
    file = tmp_path / "balance_change.card.json"
    context = {"card": make_sample("increase", Config())}
    file.write_text(json.dumps(exported({"tag": "nothing"})))
    findings = lint_template(CardTemplates(tmp_path), NAME, context)
    assert "unknown-component" in {finding.rule for finding in findings}
    assert {str(file)} == {finding.place.file for finding in findings if finding.place is not None}
    file.write_text(json.dumps(REFERENCE))

    assert [] == lint_template(CardTemplates(tmp_path), NAME, context)
