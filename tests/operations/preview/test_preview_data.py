"""The data of a preview: samples, events of Feishu, files with variables; and cards that are marked as a test."""

import json
from pathlib import Path
from typing import Any

import pytest

from notifier.cards.rules import card_problems
from notifier.cards.templates import OUR_TEMPLATES, CardTemplates
from notifier.config.settings import Config
from notifier.domain.event import BALANCE_CHANGED
from notifier.errors import ConfigError
from notifier.operations.preview.marked_card import MARK, mark_as_test
from notifier.operations.preview.result import PreviewChoice
from notifier.operations.preview.template_preview import TemplatePreview
from notifier.operations.sample_cards import list_samples, make_sample

CONFIG = Config.model_validate({"withdrawals": {"offer_to": ["referrer"]}})
TEMPLATES = CardTemplates()
EVENT = {
    "schema": "2.0",
    "header": {
        "event_id": "ev-1",
        "event_type": BALANCE_CHANGED,
        "create_time": "1700000000000",
        "tenant_key": "t",
        "app_id": "cli_1",
    },
    "event": {
        "account_id": "7000000000000000001",
        "modify_time": "1700000000000",
        "assets": {
            "confirmed_bonus": {
                "point_bonus": 20,
                "cash_bonus": [{"currency_type": "CNY", "amount": "1250.5"}],
            }
        },
    },
}


def write(folder: Path, document: object) -> Path:
    file = folder / "data.json"
    text = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("template", OUR_TEMPLATES)
def test_the_variables_of_a_sample_in_a_file_give_the_same_card(template: str, tmp_path: Path) -> None:
    sample = TemplatePreview(CONFIG).render(
        PreviewChoice(template=template, sample=list_samples(template)[-1])
    )
    file = write(tmp_path, sample.data)
    from_file = TemplatePreview(CONFIG, file).render(PreviewChoice(template=template))

    assert sample.card == from_file.card
    assert sample.audiences == from_file.audiences
    assert from_file.title.endswith("data.json")


def test_the_audience_changes_the_card_of_a_sample_and_of_a_file(tmp_path: Path) -> None:
    sample = TemplatePreview(CONFIG).render(PreviewChoice(sample="withdraw"))
    group = PreviewChoice(sample="withdraw", audience="group")
    for_group = TemplatePreview(CONFIG).render(group)
    from_file = TemplatePreview(CONFIG, write(tmp_path, sample.data)).render(PreviewChoice(audience="group"))

    assert "referrer" == sample.choice.audience
    assert "group" == for_group.choice.audience
    assert sample.card != for_group.card == from_file.card


def test_an_event_becomes_the_card_of_its_balance(tmp_path: Path) -> None:
    shown = TemplatePreview(CONFIG, write(tmp_path, EVENT)).render(PreviewChoice())
    card = shown.data["card"]

    assert shown.error is None
    assert "opening" == card["direction"]
    assert ["¥1,250.50", "20"] == [line["after"] for line in card["lines"]]
    assert "offered" == card["withdrawal"]["state"]
    assert [] == list(shown.findings)


def test_the_output_of_events_show_is_an_event(tmp_path: Path) -> None:
    stored = {"id": 1, "state": "done", "payload": json.dumps(EVENT)}
    shown = TemplatePreview(CONFIG, write(tmp_path, stored)).render(PreviewChoice())

    assert shown.error is None
    assert "opening" == shown.data["card"]["direction"]


@pytest.mark.parametrize(
    "document, said, line",
    [
        ("{\n  nonsense", "not JSON: Expecting property name", 2),
        ([1], "neither an event of Feishu", None),
        ({}, "neither an event of Feishu", None),
        ({"payload": "[]"}, "neither an event of Feishu", None),
        ({"card": 1}, "neither an event of Feishu", None),
        ({"schema": "2.0", "header": {"title": {}}, "body": {}}, "neither an event of Feishu", None),
        ({**EVENT, "event": {}}, "The event cannot be shown: event.account_id is missing", None),
        (
            {**EVENT, "header": {"event_type": "im.message.receive_v1"}},
            "header.event_type is not hire.referral_account",
            None,
        ),
        (
            {**EVENT, "event": {**EVENT["event"], "assets": {"confirmed_bonus": {}}}},  # type: ignore[dict-item]
            "its balance is zero",
            None,
        ),
        ({"card": {"direction": "increase"}}, "has no field", None),
    ],
)
def test_nonsense_is_named_with_its_place(
    document: object, said: str, line: int | None, tmp_path: Path
) -> None:
    shown = TemplatePreview(CONFIG, write(tmp_path, document)).render(PreviewChoice())

    assert shown.card is None
    assert shown.error is not None
    assert said in shown.error.message
    if line is not None:
        assert ("data.json", line, "nonsense") == (shown.error.file, shown.error.line, shown.error.text)


@pytest.mark.parametrize(
    "choice, said",
    [
        (PreviewChoice(template="balance_chnage.json.j2"), "did you mean balance_change.json.j2"),
        (PreviewChoice(sample="odd"), "there is no sample 'odd' for this"),
    ],
)
def test_an_unknown_name_is_an_error(choice: PreviewChoice, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        TemplatePreview(CONFIG).render(choice)


def calls(node: Any) -> list[str]:
    """The components of a card that call the app and are not disabled."""
    if isinstance(node, list):
        return [found for each in node for found in calls(each)]
    if not isinstance(node, dict):
        return []
    behaviors = node.get("behaviors", [])
    is_calling = any(each.get("type") == "callback" for each in behaviors) or "form_action_type" in node
    own = [str(node.get("tag"))] if is_calling and node.get("disabled") is not True else []
    return own + [found for each in node.values() for found in calls(each)]


@pytest.mark.parametrize("template", OUR_TEMPLATES)
def test_every_marked_card_keeps_the_rules_and_calls_nothing(template: str) -> None:
    for sample in list_samples(template):
        card = TEMPLATES.render(template, {"card": make_sample(sample, CONFIG)})
        marked = mark_as_test(card)
        tags = marked["header"].get("text_tag_list") or marked["header"]["i18n_text_tag_list"]["zh_cn"]

        assert card_problems(card) == card_problems(marked)
        assert [] == calls(marked)
        assert MARK == tags[0]["text"]["content"]
        assert MARK not in json.dumps(card, ensure_ascii=False), "the card itself stays as it was"


def test_a_card_without_a_header_is_marked_above_its_body_and_links_stay() -> None:
    link = {"type": "open_url", "default_url": "https://example.com"}
    callback = {"type": "callback", "value": {}}
    card = {
        "schema": "2.0",
        "body": {
            "elements": [
                {"tag": "button", "behaviors": [link, callback]},
                {"tag": "button", "behaviors": [callback]},
                {"tag": "overflow", "options": [{"value": "x"}]},
                {"tag": "form", "elements": [{"tag": "button", "form_action_type": "submit"}]},
            ]
        },
    }
    note, opening, calling, form = mark_as_test(card)["body"]["elements"]

    assert MARK in note["content"]
    assert {"tag": "button", "behaviors": [link]} == opening
    assert {"tag": "button", "disabled": True} == calling
    assert form["elements"][0]["disabled"] is True


def test_the_mark_is_the_first_of_three_tags_in_each_language() -> None:
    tags = [{"tag": "text_tag", "text": {"content": str(number)}} for number in range(3)]
    card = {"header": {"text_tag_list": tags, "i18n_text_tag_list": {"zh_cn": tags}}}
    header = mark_as_test(card)["header"]

    for found in (header["text_tag_list"], header["i18n_text_tag_list"]["zh_cn"]):
        assert [MARK, "0", "1"] == [each["text"]["content"] for each in found]
