"""Event card: the card of a first notice, from an event as Feishu sends it. For previews: nothing is stored."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from notifier.cards.balance_text import balance_change_card, own_line
from notifier.cards.withdrawal_text import panel
from notifier.config.settings import Config
from notifier.domain.card import BalanceChangeCard
from notifier.domain.event import BALANCE_CHANGED, BalanceReport
from notifier.domain.ledger import Snapshot, content_of, place_report
from notifier.domain.notice import Notice, NoticeReason
from notifier.domain.route import REFERRER
from notifier.errors import ConfigError, Quarantined
from notifier.feishu.wire import read_balance_report, read_event, read_object
from notifier.operations.language import localized
from notifier.operations.samples.balance_samples import SAMPLE_PERSON


def make_card_from_event(payload: bytes | Mapping[str, Any], config: Config) -> BalanceChangeCard:
    """Build the card that a referrer gets if this event is the first one about the account.

    payload: an event `hire.referral_account.assets_update_v1` of schema 2.0, as JSON bytes or parsed. It names no
    referrer, so the card shows the sample person. Raises ConfigError, which names the missing or invalid field.
    """
    from notifier.runtime.factories import make_withdraw_offer  # noqa: PLC0415 - imports aiohttp

    report = _read_report(payload, config)
    snapshot = Snapshot(
        modified_at=report.modified_at, reported_at=report.reported_at, content=content_of(report.amounts)
    )
    update = place_report(snapshot, earlier=None, same_time=(), later=None)
    changes = update.changes_to_notify if update else None
    if not changes:
        raise _unusable("its balance is zero, so there is nothing to show", "余额为零，没有可显示的内容")
    notice = Notice(
        key="sample",
        account=report.account,
        reason=NoticeReason.OPENING,
        occurred_at=report.modified_at,
        changes=changes,
    )
    zone = config.cards.time_zone
    card = balance_change_card([notice], audience=REFERRER, referrer=SAMPLE_PERSON, zone=zone, reroute=None)
    offer = make_withdraw_offer(config)
    shown = None
    if offer.is_for(REFERRER, report.amounts):
        shown = panel(ref="sample", holdings=report.amounts, kinds=offer.kinds, withdrawal=None, zone=zone)
    lines = config.cards
    return replace(
        card,
        withdrawal=shown,
        contact=own_line(lines.contact.zh, lines.contact.en),
        payday=own_line(lines.payday.zh, lines.payday.en),
    )


def _read_report(payload: bytes | Mapping[str, Any], config: Config) -> BalanceReport:
    raw = payload if isinstance(payload, bytes) else json.dumps(dict(payload), default=str).encode()
    body = read_object(raw)
    if not body:
        raise _unusable("it is not a JSON object", "不是 JSON 对象")
    if body.get("schema") != "2.0":
        raise _unusable('schema is not "2.0"', "schema 不是“2.0”")
    if not isinstance(body.get("header"), dict):
        raise _unusable("header is missing", "缺少 header")
    event = read_event(raw, app_id=config.feishu.app_id, body=body)
    if event.event_type != BALANCE_CHANGED:
        raise _unusable(
            f"header.event_type is not {BALANCE_CHANGED}", f"header.event_type 不是 {BALANCE_CHANGED}"
        )
    try:
        return read_balance_report(event)
    except Quarantined as error:
        raise _unusable(str(error), str(error)) from error


def _unusable(reason_en: str, reason_zh: str) -> ConfigError:
    return ConfigError(
        localized(f"The event cannot be shown: {reason_en}.", f"无法显示该事件：{reason_zh}。")
    )
