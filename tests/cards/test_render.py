"""Render: the ladder from full card over compact card to plain text; never silence."""

import json
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from notifier.cards.render import OwnLines, Renderer, plain_text, without_pictures
from notifier.cards.rules import card_problems
from notifier.cards.templates import BALANCE_TEMPLATES, CardTemplates
from notifier.cards.withdrawal_text import denied_toast
from notifier.clock import SystemClock
from notifier.config.sections import CardConfig
from notifier.config.settings import Config
from notifier.domain.account import Ownership, Referrer
from notifier.domain.card import Bilingual
from notifier.domain.card_state import ClaimedDelivery
from notifier.domain.delivery import CardVariant, Content, Delivery, DeliveryState
from notifier.domain.preferences.settings_card import SettingsCard
from notifier.domain.withdrawal import DenialReason
from notifier.errors import TemplateBroken
from notifier.operations.sample_cards import SAMPLES, make_sample
from support.builders import ACCOUNT, MODIFIED_AT, notice

SHANGHAI = ZoneInfo("Asia/Shanghai")
BROKEN = "{{ nothing }}"
TOO_LARGE = '{"schema": "2.0", "body": {"elements": [{"tag": "markdown", "content": "%s"}]}}' % ("x" * 30_000)
NOT_A_CARD = '{"schema": "2.0", "body": {"elements": [{"tag": "no_such_component"}]}}'


HOSTILE_LINE = '<at id=all></at> [x](http://x.invalid) "}],{"tag":"button"} {{ 7*7 }}'


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "templates"
    folder.mkdir()
    return folder


def renderer(own: Path | None = None) -> Renderer:
    return Renderer(CardTemplates(own), check=card_problems, zone=SHANGHAI, clock=SystemClock())


def claimed(
    *, variant: CardVariant = CardVariant.FULL, target: str = "referrer", reroute: str | None = None
) -> ClaimedDelivery:
    delivery = Delivery(
        id=1,
        key="key",
        account_ref=1,
        target=target,
        receive_id_type="open_id",
        receive_id="ou_1",
        state=DeliveryState.SENDING,
        variant=variant,
        content=None,
        attempts=1,
        created_at=MODIFIED_AT,
        first_tried_at=None,
        unknown_since=None,
        reroute_reason=reroute,
    )
    referrer = Referrer(open_id="ou_1", name_zh="林小满", name_en="Lin")
    ownership = Ownership(referrer=referrer, looked_up_at=MODIFIED_AT)
    return ClaimedDelivery(
        delivery=delivery, attempt_id=1, account=ACCOUNT, ownership=ownership, notices=(notice(),)
    )


def rungs(content: Content) -> tuple[CardVariant, str]:
    return content.variant, content.msg_type


def test_the_full_card_is_sent_where_nothing_speaks_against_it() -> None:
    content = renderer().content(claimed())

    assert (CardVariant.FULL, "interactive") == rungs(content)
    assert "内推奖励到账" == json.loads(content.body)["header"]["title"]["content"]


@pytest.mark.parametrize("source", [BROKEN, TOO_LARGE, NOT_A_CARD, "{{", "[]", "no json"])
def test_where_the_full_card_cannot_be_made_the_compact_one_is_sent(own: Path, source: str) -> None:
    (own / BALANCE_TEMPLATES[CardVariant.FULL]).write_text(source)

    assert (CardVariant.COMPACT, "interactive") == rungs(renderer(own).content(claimed()))


@pytest.mark.parametrize("sample", ["increase", "opening", "folded", "receipt", "failed", "late"])
@pytest.mark.parametrize("variant", [CardVariant.FULL, CardVariant.COMPACT])
def test_the_configured_lines_stand_on_every_reward_and_withdrawal_card(
    sample: str, variant: CardVariant
) -> None:
    lines = CardConfig(contact={"zh": HOSTILE_LINE, "en": "Ask HR"}, payday={"zh": "每月 15 日付款"})  # type: ignore[arg-type]
    shown = renderer().card(variant, make_sample(sample, Config(cards=lines)))
    plain = renderer().card(variant, make_sample(sample, Config()))
    added = [each for each in shown["body"]["elements"] if each not in plain["body"]["elements"]]

    assert [("每月 15 日付款", "每月 15 日付款"), (HOSTILE_LINE, "Ask HR")] == [
        (each["text"]["i18n_content"]["zh_cn"], each["text"]["i18n_content"]["en_us"]) for each in added
    ]
    assert ["plain_text", "plain_text"] == [each["text"]["tag"] for each in added]


def test_the_renderer_adds_the_configured_lines_to_cards_but_not_to_plain_text() -> None:
    """Feishu may reject a message for its text, and nothing comes after plain text."""
    with_lines = Renderer(
        CardTemplates(),
        check=card_problems,
        zone=SHANGHAI,
        clock=SystemClock(),
        own_lines=OwnLines(
            contact=Bilingual(zh="请联系 HR", en="Ask HR"),
            payday=Bilingual(zh="每月 15 日付款", en="Paid on the 15th"),
        ),
    )

    for variant in (CardVariant.FULL, CardVariant.COMPACT):
        body = with_lines.content(claimed(variant=variant)).body
        assert [] == [text for text in ("请联系 HR", "Ask HR", "每月 15 日付款") if text not in body]
    assert "请联系 HR" not in with_lines.content(claimed(variant=CardVariant.TEXT)).body


def test_where_no_card_can_be_made_plain_text_is_sent(own: Path) -> None:
    for name in BALANCE_TEMPLATES.values():
        (own / name).write_text(BROKEN)
    content = renderer(own).content(claimed())

    assert (CardVariant.TEXT, "text") == rungs(content)
    assert "现金（CNY） / Cash (CNY): +¥500.00 · 余额 / Balance ¥1,200.00" in json.loads(content.body)["text"]


def test_a_delivery_that_stepped_down_does_not_climb_again() -> None:
    assert (CardVariant.COMPACT, "interactive") == rungs(
        renderer().content(claimed(variant=CardVariant.COMPACT))
    )


def test_a_broken_card_says_what_feishu_would_refuse_and_where(own: Path) -> None:
    (own / BALANCE_TEMPLATES[CardVariant.FULL]).write_text(NOT_A_CARD)

    with pytest.raises(TemplateBroken, match=r"Feishu would reject this card: body\.elements\[0\]"):
        renderer(own).card(CardVariant.FULL, make_sample("increase", Config()))


@pytest.mark.parametrize(
    "target, reroute, has_name",
    [("referrer", None, False), ("referrer", "unreachable: resigned", True), ("hr", None, True)],
)
def test_only_a_group_is_told_whose_account_it_is(
    target: str, reroute: str | None, *, has_name: bool
) -> None:
    content = renderer().content(claimed(target=target, reroute=reroute))

    assert has_name == ("林小满" in content.body)


@pytest.mark.parametrize("name", SAMPLES)
def test_plain_text_names_nobody_and_holds_no_markup(name: str) -> None:
    sample = make_sample(name, Config())
    assert not isinstance(sample, SettingsCard)
    text = plain_text(replace(sample, account_id="<at id=all></at>"))

    assert "示例同事" not in text
    assert not {"<", ">"} & set(text)


def test_a_card_without_its_pictures_keeps_all_else() -> None:
    chart, table = {"tag": "chart", "chart_spec": {"type": "bar"}}, {"tag": "table", "rows": []}
    image = {"tag": "img", "img_key": "img_v3_x"}
    column = {"tag": "column", "elements": [image, {"tag": "hr"}]}
    card = {"schema": "2.0", "body": {"elements": [chart, table, column]}}

    assert {
        "schema": "2.0",
        "body": {"elements": [table, {"tag": "column", "elements": [{"tag": "hr"}]}]},
    } == without_pictures(card)


def test_the_rung_without_pictures_is_the_full_card_less_its_chart() -> None:
    digest = make_sample("daily", Config())
    made = [renderer().card(variant, digest) for variant in (CardVariant.FULL, CardVariant.NO_MEDIA)]

    assert [True, False] == ['"chart"' in json.dumps(card) for card in made]
    assert [True, True] == ['"table"' in json.dumps(card) for card in made]


def test_plain_text_uses_the_texts_of_the_company(own: Path) -> None:
    (own / "texts.en.yaml").write_text("plain.balance: Bonus news\n")
    content = renderer(own).content(claimed(variant=CardVariant.TEXT))

    assert json.loads(content.body)["text"].startswith("内推奖励变动 / Bonus news\n")


def test_sentences_with_data_use_the_texts_of_the_company(own: Path) -> None:
    (own / "texts.zh.yaml").write_text(
        'reroute.unreachable: "{recipient}收不到，转到这里。"\n', encoding="utf-8"
    )
    content = renderer(own).content(claimed(target="referrer", reroute="unreachable"))

    assert "内推人本人收不到，转到这里。" in content.body


def test_toasts_use_the_texts_of_the_company(own: Path) -> None:
    (own / "texts.zh.yaml").write_text("toast.denied.expired: 卡片太旧了\n", encoding="utf-8")
    with renderer(own).using_texts():
        toast = denied_toast(DenialReason.EXPIRED)

    assert {"type": "warning", "content": "卡片太旧了"} == {key: toast[key] for key in ("type", "content")}
    assert "卡片太旧了" != denied_toast(DenialReason.EXPIRED)["content"]


def test_wrong_texts_do_not_stop_a_card(own: Path) -> None:
    (own / "texts.zh.yaml").write_text("balance.summary: [\n")

    assert CardVariant.FULL is renderer(own).content(claimed()).variant
