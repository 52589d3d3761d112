"""Digest samples: made-up digests for `notifier check`, `notifier preview` and the tests."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from notifier.cards.digest_text import digest_card
from notifier.cards.withdrawal_text import panel
from notifier.clock import HOUR_MS
from notifier.config.settings import Config
from notifier.domain.account import Referrer
from notifier.domain.digest import AssetFlow, DayFlow, Digest, Holder, StalledItems, StalledPayout
from notifier.domain.digest_card import DigestCard
from notifier.domain.digest_panel import DigestPanel, Option, Progress, Result, SkipReason
from notifier.domain.money import POINTS, Amounts, Asset, Kind
from notifier.domain.payout import PayoutState
from notifier.domain.period import Span, holding, whole
from notifier.domain.withdrawal import WithdrawalState

_CNY, _USD, _JPY, _KWD, _UNKNOWN = (Asset(Kind.CASH, code) for code in ("CNY", "USD", "JPY", "KWD", "QQQ"))
_DAY = date(2023, 11, 14)
_CREATED_AT = 1_700_010_420_000
_HOSTILE = "<at id=all></at>[x](http://x.invalid) {{ 7*7 }} \"'\n\\ \u202eabc **b** =1+1"


def _flow(opening: str, closing: str, **amounts_by_name: str) -> AssetFlow:
    amounts: dict[str, Any] = {name: Decimal(amount) for name, amount in amounts_by_name.items()}
    flow = AssetFlow(
        opening=Decimal(opening), closing=Decimal(closing), net=Decimal(closing) - Decimal(opening)
    )
    return replace(flow, **amounts)


def _holder(number: int, amounts: Amounts, *, name: str = "示例同事", known: bool = True) -> Holder:
    referrer = Referrer(
        open_id=f"ou_sample_{number}", name_zh=f"{name}{number}", name_en=f"Colleague {number}"
    )
    return Holder(
        account_ref=number,
        account_id=str(7_000_000_000_000_000_000 + number),
        referrer=referrer if known else None,
        amounts=amounts,
    )


_DIGEST = Digest(
    name="hr-daily",
    period=whole(Span.DAY, _DAY, _DAY, Config().cards.time_zone),
    due_at=_CREATED_AT,
    created_at=_CREATED_AT,
    flows={
        _CNY: _flow("8000", "9150", first_seen="350", rewards="2000", withdrawn="1150", corrections="-50"),
        POINTS: _flow("420", "500", rewards="80"),
    },
    changed_accounts=6,
    changed=tuple(_holder(n, {_CNY: Decimal(1000 - 300 * n), POINTS: Decimal(20)}) for n in (1, 2, 4)),
    holders=tuple(
        _holder(n, {_CNY: Decimal(5000 // n), POINTS: Decimal(100)}, known=n != 4) for n in (1, 2, 3, 4)
    ),
    more_changed=3,
    more_holders=8,
    charted=_CNY,
    chart=tuple(
        DayFlow(
            label=f"11-{day:02d}",
            rewards=Decimal(100 * day),
            withdrawn=Decimal(40 * day),
            first_seen=Decimal(350 * (day == 14)),
        )
        for day in range(8, 15)
    ),
    file_rows=24,
    offers_withdrawal=True,
    zone=str(Config().cards.time_zone),
)
_QUIET = replace(
    _DIGEST,
    changed_accounts=0,
    flows={_CNY: _flow("8000", "8000")},
    changed=(),
    holders=(),
    more_changed=0,
    more_holders=0,
    chart=(),
    charted=None,
    file_rows=0,
)
_STALLED = StalledItems(
    undelivered=2,
    undelivered_accounts=("7000000000000000001",),
    payouts=3,
    payout_examples=tuple(
        StalledPayout(
            account_id="7000000000000000002",
            order_id=f"rn-5d0c7a41b2e84f6f9a3e0d1c-{state}",
            state=state,
            since=_CREATED_AT,
        )
        for state in ("dead", "failed", "late")
    ),
)
_UNBALANCED_FLOW = replace(_DIGEST.flows[_CNY], closing=Decimal(9000))


def _options(holders: tuple[Holder, ...]) -> tuple[Option, ...]:
    return tuple(
        Option(
            button_ref=f"sample{each.account_ref}",
            account_ref=each.account_ref,
            account_id=each.account_id,
            referrer=each.referrer,
            amounts=each.amounts,
        )
        for each in holders
    )


def _result(
    holder: Holder,
    state: WithdrawalState | None,
    payout: PayoutState | None = None,
    *,
    skipped: SkipReason | None = None,
    code: int | None = None,
) -> Result:
    return Result(
        account_id=holder.account_id,
        referrer=holder.referrer,
        state=state,
        order_id="rn-5d0c7a41b2e84f6f9a3e0d1c3f9a1c2b",
        amounts=holder.amounts,
        payout=payout,
        skipped=skipped,
        code=code,
        again=skipped is not None or code is not None,
    )


_OFFERED = DigestPanel(one="sample-one", all="sample-all", options=_options(_DIGEST.holders))
_RUNNING = DigestPanel(
    results=(
        _result(_DIGEST.holders[0], WithdrawalState.WITHDRAWN),
        _result(_DIGEST.holders[1], WithdrawalState.REQUESTED),
    ),
    progress=Progress(total=4, done=1, failed=0, skipped={}, running=True, by="ou_sample_hr", withdrawn=1),
)
_FINISHED = DigestPanel(
    retry="sample-retry",
    results=(
        _result(_DIGEST.holders[0], WithdrawalState.WITHDRAWN, PayoutState.PAID),
        _result(_DIGEST.holders[1], WithdrawalState.REFUSED, code=1002555),
        _result(_DIGEST.holders[2], WithdrawalState.NOTHING),
        _result(_DIGEST.holders[3], None, skipped=SkipReason.REFERRER_UNKNOWN),
    ),
    progress=Progress(
        total=4,
        done=4,
        failed=1,
        skipped={SkipReason.REFERRER_UNKNOWN: 1},
        running=False,
        by="ou_sample_hr",
        withdrawn=1,
    ),
)
_CURRENCY_FLOWS = {
    _USD: _flow("100", "180.5", rewards="80.5"),
    _JPY: _flow("3000", "15000", rewards="12000"),
    _KWD: _flow("1.25", "12.375", rewards="11.125"),
    _UNKNOWN: _flow("10", "35.5", rewards="25.5"),
}
_LONG_HOLDERS = tuple(
    replace(
        holder,
        referrer=Referrer(
            open_id=f"ou_sample_{holder.account_ref}",
            name_zh="示例👩🏽‍💻" + "欧阳上官" * 12,
            name_en="Sample Colleague with an Exceptionally Long Hyphenated-Double-Barrelled Name",
        ),
    )
    for holder in _DIGEST.holders
)
_REROUTED = "group_unreachable 230002: the bot is not in the group"
_REROUTES = {"digest-rerouted": _REROUTED, "my-week-rerouted": "unreachable 230029: this person has resigned"}
_GROUP_DIGESTS: dict[str, tuple[Digest, DigestPanel]] = {
    "daily": (_DIGEST, _OFFERED),
    "quiet": (_QUIET, DigestPanel()),
    "late-digest": (replace(_DIGEST, due_at=_CREATED_AT - 26 * HOUR_MS), DigestPanel()),
    "correction": (
        replace(_DIGEST, correction_number=2, previous_closing={_CNY: Decimal(7900)}),
        DigestPanel(),
    ),
    "so-far": (replace(_DIGEST, due_at=None, period=replace(_DIGEST.period, so_far=True)), DigestPanel()),
    "needs-attention": (replace(_DIGEST, stalled=_STALLED), DigestPanel()),
    "unbalanced": (replace(_DIGEST, flows={_CNY: _UNBALANCED_FLOW}), DigestPanel()),
    "running": (_DIGEST, _RUNNING),
    "over": (_DIGEST, _FINISHED),
    "month": (
        replace(
            _DIGEST,
            period=whole(Span.MONTH, date(2023, 10, 1), date(2023, 10, 31), Config().cards.time_zone),
            flows={_CNY: replace(_DIGEST.flows[_CNY], later=Decimal(-650)), POINTS: _DIGEST.flows[POINTS]},
            changed_accounts=8,
            cancelled_out=2,
        ),
        DigestPanel(),
    ),
    "hostile-digest": (
        replace(
            _DIGEST,
            holders=(_holder(1, {Asset(Kind.CASH, "[x](http:"): Decimal(1)}, name=_HOSTILE),),
            changed=(_holder(1, {_USD: Decimal(-1)}, name=_HOSTILE),),
        ),
        DigestPanel(
            one="sample-one",
            options=_options((_holder(1, {Asset(Kind.CASH, "[x](http:"): Decimal(1)}, name=_HOSTILE),)),
        ),
    ),
    "digest-currencies": (
        replace(
            _DIGEST,
            flows=_CURRENCY_FLOWS,
            charted=None,
            chart=(),
            holders=(_holder(1, {asset: flow.closing for asset, flow in _CURRENCY_FLOWS.items()}),),
            more_holders=0,
        ),
        DigestPanel(),
    ),
    "digest-negative": (
        replace(
            _DIGEST,
            flows={_CNY: _flow("200", "-150.50", corrections="-350.50")},
            changed=(_holder(1, {_CNY: Decimal("-350.50")}),),
            more_changed=0,
            changed_accounts=1,
            holders=(),
            more_holders=0,
            charted=None,
            chart=(),
        ),
        DigestPanel(),
    ),
    "digest-long-names": (
        replace(_DIGEST, holders=_LONG_HOLDERS, changed=_LONG_HOLDERS[:3]),
        DigestPanel(one="sample-one", all="sample-all", options=_options(_LONG_HOLDERS)),
    ),
    "digest-rerouted": (_DIGEST, DigestPanel()),
}
DIGEST_SAMPLES = tuple(_GROUP_DIGESTS)
_WEEK = holding(Span.WEEK, _DAY, Config().cards.time_zone)
_MY_WEEK = replace(
    _DIGEST,
    name="my-week",
    period=_WEEK,
    changed_accounts=1,
    changed=(),
    more_changed=0,
    holders=(),
    more_holders=0,
    charted=None,
    chart=(),
    file_rows=0,
)
_PERSONAL_DIGESTS = {
    "my-week": _MY_WEEK,
    "my-quiet-week": replace(_QUIET, name="my-week", period=_WEEK),
    "my-week-currencies": replace(_MY_WEEK, flows={_CNY: _DIGEST.flows[_CNY], **_CURRENCY_FLOWS}),
    "my-week-rerouted": _MY_WEEK,
}
PERSONAL_SAMPLES = tuple(_PERSONAL_DIGESTS)


def make_digest_sample(name: str, config: Config) -> DigestCard:
    """Build the card of a digest sample. Raises KeyError for an unknown name."""
    zone = config.cards.time_zone
    if name in _GROUP_DIGESTS:
        digest, group_panel = _GROUP_DIGESTS[name]
        return digest_card(
            digest,
            group_panel,
            zone=zone,
            per_minute=config.withdrawals.per_minute,
            reroute=_REROUTES.get(name),
        )
    digest = _PERSONAL_DIGESTS[name]
    return digest_card(
        digest,
        DigestPanel(),
        zone=zone,
        per_minute=config.withdrawals.per_minute,
        reroute=_REROUTES.get(name),
        account="7000000000000000001",
        referrer=_holder(1, {}).referrer,
        withdrawal=panel(
            ref="sample",
            holdings={asset: flow.closing for asset, flow in digest.flows.items()},
            kinds=tuple(Kind),
            withdrawal=None,
            zone=zone,
        ),
    )
