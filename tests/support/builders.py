"""Builders with good defaults: a test names only what matters to it."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from notifier.domain.event import BALANCE_CHANGED, AccountKey, BalanceReport, Event
from notifier.domain.ledger import BalanceChange
from notifier.domain.money import POINTS, Asset, Kind
from notifier.domain.notice import Notice, NoticeReason
from notifier.feishu.wire import read_event

ACCOUNT_ID = "7000000000000000001"
ACCOUNT = AccountKey(tenant_key="tk", app_id="cli_x", account_id=ACCOUNT_ID)
MODIFIED_AT = 1_700_000_000_000
CNY = Asset(Kind.CASH, "CNY")
USD = Asset(Kind.CASH, "USD")


def balance_payload(
    *,
    event_id: str = "ev-1",
    account_id: object = ACCOUNT_ID,
    points: object = 120,
    cash: object = None,
    modify_time: object = str(MODIFIED_AT),
    create_time: str = str(MODIFIED_AT),
) -> bytes:
    """The event of Feishu's own page, with the values a test cares about. cash: a list as on the wire."""
    cash = [{"currency_type": "CNY", "amount": 350.5}] if cash is None else cash
    document: dict[str, Any] = {
        "schema": "2.0",
        "header": {
            "event_id": event_id,
            "event_type": BALANCE_CHANGED,
            "create_time": create_time,
            "token": "",
            "app_id": "cli_x",
            "tenant_key": "tk",
        },
        "event": {
            "account_id": account_id,
            "assets": {"confirmed_bonus": {"point_bonus": points, "cash_bonus": cash}},
            "modify_time": modify_time,
        },
    }
    return json.dumps(document).encode()


def balance_event(**values: Any) -> Event:
    return read_event(balance_payload(**values), app_id="cli_x")


def balance_report(
    *,
    cash: Mapping[str, str] | None = None,
    points: int = 0,
    modified_at: int = MODIFIED_AT,
    reported_at: int | None = None,
    account: AccountKey = ACCOUNT,
) -> BalanceReport:
    amounts = {Asset(Kind.CASH, code): Decimal(amount) for code, amount in (cash or {}).items()}
    return BalanceReport(
        account=account,
        modified_at=modified_at,
        reported_at=modified_at if reported_at is None else reported_at,
        amounts={**amounts, POINTS: Decimal(points)},
    )


def change(asset: Asset = CNY, before: str = "700", after: str = "1200") -> BalanceChange:
    return BalanceChange(asset=asset, before=Decimal(before), after=Decimal(after))


def notice(*changes: BalanceChange, reason: NoticeReason = NoticeReason.CHANGE, key: str = "n-1") -> Notice:
    return Notice(
        key=key, account=ACCOUNT, reason=reason, occurred_at=MODIFIED_AT, changes=changes or (change(),)
    )
