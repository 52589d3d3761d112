"""Digest content: the figures of a digest as JSON. Sent figures are stored, and never computed again."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any

from notifier.domain.account import Referrer
from notifier.domain.digest import AssetFlow, DayFlow, Digest, Holder, StalledItems, StalledPayout
from notifier.domain.money import Amounts, Asset, Kind
from notifier.domain.period import Period

Json = dict[str, Any]


def serialize(digest: Digest) -> str:
    """The figures as JSON text."""
    period = digest.period
    return json.dumps(
        {
            "name": digest.name,
            "period": asdict(period) | {"first": str(period.first), "last": str(period.last)},
            "due_at": digest.due_at,
            "created_at": digest.created_at,
            "correction_number": digest.correction_number,
            "flows": [
                [*_asset(asset), {name: str(value) for name, value in asdict(flow).items()}]
                for asset, flow in digest.flows.items()
            ],
            "changed_accounts": digest.changed_accounts,
            "changed": [_holder(each) for each in digest.changed],
            "holders": [_holder(each) for each in digest.holders],
            "more_changed": digest.more_changed,
            "cancelled_out": digest.cancelled_out,
            "more_holders": digest.more_holders,
            "charted": _asset(digest.charted) if digest.charted else None,
            "chart": [
                [day.label, str(day.rewards), str(day.withdrawn), str(day.first_seen)] for day in digest.chart
            ],
            "stalled": asdict(digest.stalled),
            "previous_closing": _amounts(digest.previous_closing),
            "file_rows": digest.file_rows,
            "offers_withdrawal": digest.offers_withdrawal,
            "zone": digest.zone,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def deserialize(text: str) -> Digest:
    """The figures from JSON text."""
    data: Json = json.loads(text)
    period = data["period"]
    stalled = data["stalled"]
    return Digest(
        name=data["name"],
        period=Period(
            **period
            | {"first": date.fromisoformat(period["first"]), "last": date.fromisoformat(period["last"])}
        ),
        due_at=data["due_at"],
        created_at=data["created_at"],
        correction_number=data["correction_number"],
        flows={_parse_asset(kind, currency): _parse_flow(values) for kind, currency, values in data["flows"]},
        changed_accounts=data["changed_accounts"],
        changed=tuple(_parse_holder(each) for each in data["changed"]),
        holders=tuple(_parse_holder(each) for each in data["holders"]),
        more_changed=data["more_changed"],
        cancelled_out=data.get("cancelled_out", 0),  # older content has no such number
        more_holders=data["more_holders"],
        charted=_parse_asset(*data["charted"]) if data["charted"] else None,
        chart=tuple(_parse_day(*day) for day in data["chart"]),
        stalled=StalledItems(
            undelivered=stalled["undelivered"],
            undelivered_accounts=tuple(stalled["undelivered_accounts"]),
            payouts=stalled["payouts"],
            payout_examples=tuple(StalledPayout(**each) for each in stalled["payout_examples"]),
        ),
        previous_closing=_parse_amounts(data["previous_closing"]),
        file_rows=data["file_rows"],
        offers_withdrawal=data["offers_withdrawal"],
        zone=data.get("zone", ""),  # older content has no time zone
    )


def _parse_day(label: str, rewards: str, withdrawn: str, first_seen: str = "0") -> DayFlow:
    return DayFlow(
        label=label, rewards=Decimal(rewards), withdrawn=Decimal(withdrawn), first_seen=Decimal(first_seen)
    )


def _parse_flow(data: Json) -> AssetFlow:
    steps = int(data["steps"])
    amounts = {name: Decimal(value) for name, value in data.items() if name != "steps"}
    return AssetFlow(**amounts, steps=steps)


def _asset(asset: Asset) -> list[str]:
    return [asset.kind.value, asset.currency]


def _parse_asset(kind: str, currency: str) -> Asset:
    return Asset(Kind(kind), currency)


def _amounts(amounts: Amounts) -> list[list[str]]:
    return [[*_asset(asset), str(amount)] for asset, amount in amounts.items()]


def _parse_amounts(rows: list[list[str]]) -> Mapping[Asset, Decimal]:
    return {_parse_asset(kind, currency): Decimal(amount) for kind, currency, amount in rows}


def _holder(holder: Holder) -> Json:
    return {
        "account_ref": holder.account_ref,
        "account_id": holder.account_id,
        "referrer": asdict(holder.referrer) if holder.referrer else None,
        "amounts": _amounts(holder.amounts),
    }


def _parse_holder(data: Json) -> Holder:
    return Holder(
        account_ref=data["account_ref"],
        account_id=data["account_id"],
        referrer=Referrer(**data["referrer"]) if data["referrer"] else None,
        amounts=_parse_amounts(data["amounts"]),
    )
