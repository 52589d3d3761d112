"""Digest content: a digest's figures as the text that is kept, and back. What was told is never worked out again."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any

from notifier.domain.account import Referrer
from notifier.domain.digest import DayFlow, Digest, Flow, Holder, Stuck, StuckPayout
from notifier.domain.money import Amounts, Asset, Kind
from notifier.domain.period import Period

Json = dict[str, Any]


def write(digest: Digest) -> str:
    period = digest.period
    return json.dumps(
        {
            "name": digest.name,
            "period": asdict(period) | {"first": str(period.first), "last": str(period.last)},
            "due_at": digest.due_at,
            "born_at": digest.born_at,
            "edition": digest.edition,
            "flows": [
                [*_asset(asset), {name: str(value) for name, value in asdict(flow).items()}]
                for asset, flow in digest.flows.items()
            ],
            "people": digest.people,
            "changed": [_holder(each) for each in digest.changed],
            "holders": [_holder(each) for each in digest.holders],
            "more_changed": digest.more_changed,
            "more_holders": digest.more_holders,
            "charted": _asset(digest.charted) if digest.charted else None,
            "chart": [
                [day.label, str(day.rewards), str(day.withdrawn), str(day.first_seen)] for day in digest.chart
            ],
            "stuck": asdict(digest.stuck),
            "told_before": _amounts(digest.told_before),
            "file_rows": digest.file_rows,
            "offers": digest.offers,
            "zone": digest.zone,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def read(text: str) -> Digest:
    kept: Json = json.loads(text)
    period = kept["period"]
    stuck = kept["stuck"]
    return Digest(
        name=kept["name"],
        period=Period(
            **period
            | {"first": date.fromisoformat(period["first"]), "last": date.fromisoformat(period["last"])}
        ),
        due_at=kept["due_at"],
        born_at=kept["born_at"],
        edition=kept["edition"],
        flows={_read_asset(kind, currency): _read_flow(parts) for kind, currency, parts in kept["flows"]},
        people=kept["people"],
        changed=tuple(_read_holder(each) for each in kept["changed"]),
        holders=tuple(_read_holder(each) for each in kept["holders"]),
        more_changed=kept["more_changed"],
        more_holders=kept["more_holders"],
        charted=_read_asset(*kept["charted"]) if kept["charted"] else None,
        chart=tuple(_read_day(*day) for day in kept["chart"]),
        stuck=Stuck(
            undelivered=stuck["undelivered"],
            undelivered_accounts=tuple(stuck["undelivered_accounts"]),
            payouts=stuck["payouts"],
            payout_examples=tuple(StuckPayout(**each) for each in stuck["payout_examples"]),
        ),
        told_before=_read_amounts(kept["told_before"]),
        file_rows=kept["file_rows"],
        offers=kept["offers"],
        zone=kept.get("zone", ""),  # what was told before this was kept has none
    )


def _read_day(label: str, rewards: str, withdrawn: str, first_seen: str = "0") -> DayFlow:
    return DayFlow(
        label=label, rewards=Decimal(rewards), withdrawn=Decimal(withdrawn), first_seen=Decimal(first_seen)
    )


def _read_flow(kept: Json) -> Flow:
    steps = int(kept["steps"])
    amounts = {name: Decimal(value) for name, value in kept.items() if name != "steps"}
    return Flow(**amounts, steps=steps)


def _asset(asset: Asset) -> list[str]:
    return [asset.kind.value, asset.currency]


def _read_asset(kind: str, currency: str) -> Asset:
    return Asset(Kind(kind), currency)


def _amounts(amounts: Amounts) -> list[list[str]]:
    return [[*_asset(asset), str(amount)] for asset, amount in amounts.items()]


def _read_amounts(rows: list[list[str]]) -> Mapping[Asset, Decimal]:
    return {_read_asset(kind, currency): Decimal(amount) for kind, currency, amount in rows}


def _holder(holder: Holder) -> Json:
    return {
        "account_ref": holder.account_ref,
        "account_id": holder.account_id,
        "referrer": asdict(holder.referrer) if holder.referrer else None,
        "amounts": _amounts(holder.amounts),
    }


def _read_holder(kept: Json) -> Holder:
    return Holder(
        account_ref=kept["account_ref"],
        account_id=kept["account_id"],
        referrer=Referrer(**kept["referrer"]) if kept["referrer"] else None,
        amounts=_read_amounts(kept["amounts"]),
    )
