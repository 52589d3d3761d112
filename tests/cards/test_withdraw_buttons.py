"""No card asks for less than a press withdraws, whoever wrote it; and what a company writes never stops the service."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from notifier.cards.templates import CardTemplates
from notifier.cards.withdraw_buttons import find_button_problem
from notifier.clock import SystemClock
from notifier.config.settings import Config
from notifier.domain.card import BalanceChangeCard
from notifier.domain.delivery import CardVariant
from notifier.errors import ConfigError, TemplateBroken
from notifier.operations.preview.send_marked import send_test_card
from notifier.operations.sample_cards import make_sample
from notifier.runtime.factories import make_renderer

NAME = "balance_change.json.j2"
EXTENDS = '{% extends "shipped/balance_change.json.j2" %}{% block amounts %}{% endblock %}'
BUTTON = """{% block actions %}{"tag": "button", "text": {"tag": "plain_text", "content": "领取 ¥1"},
"behaviors": [{"type": "callback", "value": {"ref": "{{ card.withdrawal.ref }}"}}]CONFIRM}{% endblock %}"""
OFFERED = make_sample("withdraw", Config())
assert isinstance(OFFERED, BalanceChangeCard)
assert OFFERED.withdrawal is not None
AMOUNTS = [each.text for each in OFFERED.withdrawal.amounts]


def write(folder: Path, text: str, name: str = NAME) -> CardTemplates:
    (folder / name).write_text(text, encoding="utf-8")
    return CardTemplates(folder)


def confirm(zh: str, en: str) -> str:
    content = {"tag": "plain_text", "content": zh, "i18n_content": {"zh_cn": zh, "en_us": en}}
    return ', "confirm": ' + json.dumps({"title": {"tag": "plain_text", "content": "?"}, "text": content})


@pytest.mark.parametrize(
    "asked, reason",
    [
        ("", "needs a `confirm` with a text"),
        (confirm("全部？", "All?"), "must name every amount"),
        (confirm(" ".join(AMOUNTS), AMOUNTS[0]), f"it lacks {AMOUNTS[1]}"),
    ],
)
def test_a_button_that_asks_for_less_than_it_withdraws_is_no_card(
    tmp_path: Path, asked: str, reason: str
) -> None:
    templates = write(tmp_path, EXTENDS + BUTTON.replace("CONFIRM", asked))

    with pytest.raises(TemplateBroken, match=reason):
        templates.render(NAME, {"card": OFFERED})


def test_a_button_that_names_every_amount_is_fine(tmp_path: Path) -> None:
    everything = " ".join(AMOUNTS)
    templates = write(tmp_path, EXTENDS + BUTTON.replace("CONFIRM", confirm(everything, everything)))

    assert AMOUNTS[0] in json.dumps(templates.render(NAME, {"card": OFFERED}), ensure_ascii=False)


@pytest.mark.parametrize("sample", ["daily", "running", "over"])
def test_the_buttons_of_a_digest_need_a_question(sample: str) -> None:
    card = make_sample(sample, Config())
    made = CardTemplates().render("digest.json.j2", {"card": card})

    assert find_button_problem(made, card) is None
    without = _without_confirm(made)
    problem = find_button_problem(without, card)
    assert (problem is None) == (without == made)


def _without_confirm(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_confirm(each) for each in node]
    if isinstance(node, dict):
        return {name: _without_confirm(value) for name, value in node.items() if name != "confirm"}
    return node


REFERENCE = {"template_id": "AAq", "template_version_name": "1"}


def test_a_published_card_cannot_withdraw(tmp_path: Path) -> None:
    document = {**REFERENCE, "variables": {"ref": "card.withdrawal.ref"}}
    templates = write(tmp_path, json.dumps(document), "balance_change.card.json")

    with pytest.raises(TemplateBroken, match="a published card cannot have the withdraw button"):
        templates.render(NAME, {"card": OFFERED})


def test_a_template_cannot_render_a_reference(tmp_path: Path) -> None:
    templates = write(tmp_path, '{"type": "template", "data": {"template_id": "x"}}')

    with pytest.raises(TemplateBroken, match=r"write it as NAME\.card\.json"):
        templates.render(NAME, {"card": OFFERED})


def test_a_published_card_is_no_test_card() -> None:
    card = {"type": "template", "data": {"template_id": "x"}}

    with pytest.raises(ConfigError, match="cannot be marked as a test"):
        asyncio.run(send_test_card(Config(), SystemClock(), card, "ou_1"))


@pytest.mark.parametrize("expression", ["parts", "range", "t", "card.withdrawal.ref.join"])
def test_a_value_that_is_no_data_is_named(tmp_path: Path, expression: str) -> None:
    document = {**REFERENCE, "variables": {"k": expression}}
    templates = write(tmp_path, json.dumps(document), "balance_change.card.json")

    with pytest.raises(TemplateBroken, match=r"balance_change\.card\.json: the value of k"):
        templates.render(NAME, {"card": OFFERED})


def test_the_values_of_a_reference_are_neither_markup_nor_addresses(tmp_path: Path) -> None:
    values = {
        "list": "card.lines | map(attribute='after')",
        "link": "'see https://evil.example/x now'",
        "lines": "'a\\n# Big'",
        "entity": "'&lt;at id=all&gt;'",
        "bold": "'__bold__'",
        "id": "card.referrer.open_id",
        "amount": "card.lines[0].after",
    }
    templates = write(tmp_path, json.dumps({**REFERENCE, "variables": values}), "balance_change.card.json")

    made = templates.render(NAME, {"card": OFFERED})["data"]["template_variable"]

    assert ["¥1,200.00", "120"] == made["list"]
    assert ("ou_sample", "¥1,200.00") == (made["id"], made["amount"])
    assert "see https：//evil．example/x now" == made["link"]
    assert not set("".join(made[name] for name in ("lines", "entity", "bold"))) & set("#&_\n")


@pytest.mark.parametrize("value", ["2026-13-45", "2026-01-01T25:00:00Z", '!!int "z"', "[" * 3000])
def test_a_value_that_yaml_cannot_read_is_a_fault_and_no_end(tmp_path: Path, value: str) -> None:
    templates = write(tmp_path, f"balance.title.increase: {value}\n", "texts.zh.yaml")

    made = templates.render(NAME, {"card": OFFERED})

    assert "内推奖励到账" in json.dumps(made, ensure_ascii=False)


def test_an_error_of_any_kind_leads_to_the_compact_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """No template that is known raises one, so the error is put in here."""
    config = Config()
    renderer = make_renderer(config, SystemClock())
    templates = renderer._templates
    render = templates.render

    def fail(name: str, context: Any, **more: Any) -> Any:
        if name == NAME:
            raise TypeError("not serializable")
        return render(name, context, **more)

    monkeypatch.setattr(templates, "render", fail)
    made, variant, fault = renderer._render_variant(
        OFFERED, CardVariant.FULL, delivery_id=1, is_correction=False
    )

    assert made is not None
    assert (CardVariant.COMPACT, "TypeError: not serializable") == (variant, fault)


def test_a_file_that_is_saved_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The save falls between the reading and the look at the time, where Jinja's own loader takes it for read."""
    file = tmp_path / NAME
    line = '{% block note %}{{ parts.line("整行", "A line") }}{% endblock %}'
    whole = EXTENDS + line
    file.write_text('{% extends "shipped/balance_change.json.j2" %}', encoding="utf-8")
    templates = CardTemplates(tmp_path)
    look = os.path.getmtime

    def save_meanwhile(path: str) -> float:
        if path == str(file) and "整行" not in file.read_text(encoding="utf-8"):
            file.write_text(whole, encoding="utf-8")
        return look(path)

    monkeypatch.setattr(os.path, "getmtime", save_meanwhile)
    templates.render(NAME, {"card": OFFERED})

    assert "整行" in json.dumps(templates.render(NAME, {"card": OFFERED}), ensure_ascii=False)
