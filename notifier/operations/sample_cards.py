"""Samples: made-up data for every kind of card, for `notifier check`, `notifier preview` and the tests."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from decimal import Decimal

from notifier.cards.balance_text import balance_change_card, own_line
from notifier.cards.templates import DIGEST_TEMPLATES, PERSONAL_TEMPLATES, WITHDRAWAL_TEMPLATES
from notifier.cards.withdrawal_text import panel, withdrawal_card
from notifier.clock import DAY_MS, MINUTE_MS
from notifier.config.settings import Config
from notifier.domain.account import Referrer
from notifier.domain.card import BalanceChangeCard, WithdrawalCard, WithdrawalPanel
from notifier.domain.delivery import CardVariant
from notifier.domain.digest_card import DigestCard
from notifier.domain.event import AccountKey
from notifier.domain.ledger import BalanceChange
from notifier.domain.money import POINTS, Asset, Kind
from notifier.domain.notice import Notice, NoticeReason
from notifier.domain.payout import Payout, PayoutState
from notifier.domain.withdrawal import Role, Withdrawal, WithdrawalState
from notifier.errors import ConfigError
from notifier.operations.sample_digests import DIGEST_SAMPLES, PERSONAL_SAMPLES, make_digest_sample

_CNY, _USD, _JPY = (Asset(Kind.CASH, code) for code in ("CNY", "USD", "JPY"))
_ACCOUNT = AccountKey(tenant_key="sample", app_id="sample", account_id="7000000000000000001")
_SAMPLE_PERSON = Referrer(open_id="ou_sample", name_zh="示例同事", name_en="Sample Colleague")
_AT = 1_700_000_000_000
_ORDER_ID = "rn-5d0c7a41b2e84f6f9a3e0d1c3f9a1c2b"


def _change(asset: Asset, before: str, after: str) -> BalanceChange:
    return BalanceChange(asset=asset, before=Decimal(before), after=Decimal(after))


def _notice(*changes: BalanceChange, reason: NoticeReason = NoticeReason.CHANGE, minutes: int = 0) -> Notice:
    return Notice(
        key="sample", account=_ACCOUNT, reason=reason, occurred_at=_AT + minutes * MINUTE_MS, changes=changes
    )


_NOTICES: dict[str, tuple[Notice, ...]] = {
    "increase": (_notice(_change(_CNY, "700", "1200"), _change(POINTS, "20", "120")),),
    "decrease": (_notice(_change(_CNY, "1200", "900.50")),),
    "mixed": (_notice(_change(_CNY, "0", "500"), _change(POINTS, "120", "0")),),
    "opening": (
        _notice(_change(_CNY, "0", "350.50"), _change(POINTS, "0", "120"), reason=NoticeReason.OPENING),
    ),
    "folded": (
        _notice(_change(_CNY, "0", "500")),
        _notice(_change(_CNY, "500", "800"), minutes=5),
        _notice(_change(_USD, "0", "80"), _change(_JPY, "0", "12000"), minutes=9),
    ),
    "group": (_notice(_change(_CNY, "700", "1200")),),
    "rerouted": (_notice(_change(_CNY, "700", "1200")),),
    "nobody": (_notice(_change(_CNY, "700", "1200")),),
    "withdraw": (_notice(_change(_CNY, "700", "1200"), _change(POINTS, "20", "120")),),
    "withdrawn": (_notice(_change(_CNY, "700", "1200"), _change(POINTS, "20", "120")),),
    "recovered": (replace(_notice(_change(_CNY, "700", "1200")), recovered=True),),
    "hostile": (_notice(_change(Asset(Kind.CASH, "[x](http:"), "1", "2")),),
}
SAMPLES = tuple(_NOTICES)
"""Samples for balance cards."""

_BALANCES = {_CNY: Decimal(1200), POINTS: Decimal(120)}
_WITHDRAWN = Withdrawal(
    id=1,
    order_id=_ORDER_ID,
    account_ref=1,
    account=_ACCOUNT,
    kinds=tuple(Kind),
    state=WithdrawalState.WITHDRAWN,
    withdrawal_count=0,
    requested_by=_SAMPLE_PERSON.open_id,
    delivery_id=1,
    agreed=_BALANCES,
    role=Role.REFERRER,
    requested_at=_AT + MINUTE_MS,
    attempts=1,
    withdrawn=_BALANCES,
    withdrawn_at=_AT + 62_000,
)

_ASKED_BY_HR = replace(_WITHDRAWN, requested_by="ou_sample_hr", role=Role.OPERATOR)
_PAYOUT = Payout(
    id=1,
    order_id=_ORDER_ID,
    account_ref=1,
    account=_ACCOUNT,
    state=PayoutState.PENDING,
    body="{}",
    created_at=_AT + 63_000,
    due_at=_AT,
)
_SENT = replace(_PAYOUT, state=PayoutState.SENT, sent_at=_AT + 64_000)
_PAID = replace(_SENT, state=PayoutState.PAID, settled_at=_AT + 3 * DAY_MS, reference="WIRE-2026-0042")
_FAILED = replace(_PAID, state=PayoutState.FAILED, reference="", reason="收款账户已注销")
_NOTHING_WITHDRAWN = replace(_WITHDRAWN, withdrawn=None, withdrawn_at=None)


_HOSTILE_NAME = "<at id=all></at>[x](http://x.invalid) {{ 7*7 }} \"'\n\\ \u202eabc **b** 🎉" + "长" * 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _WithdrawalCase:
    """A withdrawal, its payout, and the notice about it."""

    withdrawal: Withdrawal
    """The withdrawal."""
    payout: Payout | None = None
    """Its payout; None: none yet."""
    audience: str = "group"
    """`referrer` or `group`."""
    reason: NoticeReason = NoticeReason.WITHDRAWN
    """Why there is a card."""
    reroute: str | None = None
    """Why it goes to the fallback group; None: it does not."""
    hostile: bool = False
    """Whether the referrer has a name that tries to break the card."""
    is_superseded: bool = False
    """Whether a newer card shows the withdrawal."""


_WITHDRAWAL_CASES: dict[str, _WithdrawalCase] = {
    "receipt": _WithdrawalCase(withdrawal=_ASKED_BY_HR, payout=_PAYOUT, audience="referrer"),
    "sent": _WithdrawalCase(withdrawal=_WITHDRAWN, payout=_SENT, audience="referrer"),
    "paid": _WithdrawalCase(withdrawal=_WITHDRAWN, payout=_PAID, audience="referrer"),
    "failed": _WithdrawalCase(withdrawal=_WITHDRAWN, payout=_FAILED, audience="referrer"),
    "failed-for-hr": _WithdrawalCase(withdrawal=_ASKED_BY_HR, payout=_FAILED),
    "late": _WithdrawalCase(withdrawal=_WITHDRAWN, payout=_SENT, reason=NoticeReason.PAYOUT_LATE),
    "dead": _WithdrawalCase(
        withdrawal=_WITHDRAWN,
        payout=replace(_PAYOUT, state=PayoutState.DEAD),
        reason=NoticeReason.PAYOUT_DEAD,
    ),
    "refused": _WithdrawalCase(
        withdrawal=replace(_NOTHING_WITHDRAWN, state=WithdrawalState.REFUSED, code=1002555)
    ),
    "amount-changed": _WithdrawalCase(
        withdrawal=replace(_NOTHING_WITHDRAWN, state=WithdrawalState.AMOUNT_CHANGED)
    ),
    "superseded": _WithdrawalCase(withdrawal=_WITHDRAWN, payout=_PAID, is_superseded=True),
    "nothing": _WithdrawalCase(withdrawal=replace(_NOTHING_WITHDRAWN, state=WithdrawalState.NOTHING)),
    "processing": _WithdrawalCase(
        withdrawal=replace(_NOTHING_WITHDRAWN, state=WithdrawalState.REQUESTED, expected=_BALANCES)
    ),
    "receipt-rerouted": _WithdrawalCase(
        withdrawal=_ASKED_BY_HR, payout=_PAYOUT, reroute="unreachable 230029: this person has resigned"
    ),
    "failed-hostile": _WithdrawalCase(
        withdrawal=_WITHDRAWN,
        payout=replace(_FAILED, reference=_HOSTILE_NAME[:128], reason=_HOSTILE_NAME[:500]),
        hostile=True,
    ),
}
WITHDRAWAL_SAMPLES = tuple(_WITHDRAWAL_CASES)
"""Samples for withdrawal cards."""


_SAMPLES_BY_TEMPLATE = {
    **dict.fromkeys(WITHDRAWAL_TEMPLATES.values(), WITHDRAWAL_SAMPLES),
    **dict.fromkeys(DIGEST_TEMPLATES.values(), DIGEST_SAMPLES),
    PERSONAL_TEMPLATES[CardVariant.FULL]: PERSONAL_SAMPLES,
    PERSONAL_TEMPLATES[CardVariant.COMPACT]: (*DIGEST_SAMPLES, *PERSONAL_SAMPLES),
}
ALL_SAMPLES = (*SAMPLES, *WITHDRAWAL_SAMPLES, *DIGEST_SAMPLES, *PERSONAL_SAMPLES)


def list_samples(template: str) -> tuple[str, ...]:
    """List the samples of a template. A custom template gets the samples for balance cards."""
    return _SAMPLES_BY_TEMPLATE.get(template, SAMPLES)


def make_sample(
    name: str, config: Config, *, allowed: Collection[str] = ALL_SAMPLES
) -> BalanceChangeCard | WithdrawalCard | DigestCard:
    """Build the card of a sample. Raises ConfigError if the name is not allowed."""
    if name not in allowed:
        raise ConfigError(
            f"--sample: there is no sample {name!r} for this. There are: {', '.join(allowed)}.",
            zh=f"--sample：没有可用的样例 {name!r}。现有：{', '.join(allowed)}。",
        )
    if name not in _NOTICES and name not in _WITHDRAWAL_CASES:
        return make_digest_sample(name, config)
    card = (
        _balance_card(name, config) if name in _NOTICES else _withdrawal_card(_WITHDRAWAL_CASES[name], config)
    )
    lines = config.cards
    return replace(
        card,
        contact=own_line(lines.contact.zh, lines.contact.en),
        payday=own_line(lines.payday.zh, lines.payday.en),
    )


def _withdrawal_card(order: _WithdrawalCase, config: Config) -> WithdrawalCard:
    shown = panel(
        ref="",
        holdings={},
        kinds=tuple(Kind),
        withdrawal=order.withdrawal,
        payout=order.payout,
        is_superseded=order.is_superseded,
        zone=config.cards.time_zone,
    )
    if shown is None:
        raise LookupError("a withdrawal always has something to say")
    person = _SAMPLE_PERSON
    if order.hostile:
        person = replace(person, name_zh=_HOSTILE_NAME, name_en=_HOSTILE_NAME)
    return withdrawal_card(
        [Notice(key="sample", account=_ACCOUNT, reason=order.reason, occurred_at=_AT, order_id=_ORDER_ID)],
        now_shown=shown,
        audience=order.audience,
        referrer=person,
        reroute=order.reroute,
        asked_at=_AT + 8 * DAY_MS,
    )


def _balance_card(name: str, config: Config) -> BalanceChangeCard:
    person: Referrer | None = _SAMPLE_PERSON
    if name == "hostile":
        person = replace(_SAMPLE_PERSON, name_zh=_HOSTILE_NAME, name_en=_HOSTILE_NAME)
    if name == "nobody":
        person = None
    card = balance_change_card(
        _NOTICES[name],
        audience="group" if name in {"group", "rerouted", "nobody", "withdrawn", "hostile"} else "referrer",
        referrer=person,
        zone=config.cards.time_zone,
        reroute={"rerouted": "unreachable 230029: this person has resigned", "nobody": "account_unknown"}.get(
            name
        ),
    )
    return replace(card, withdrawal=_withdrawal_panel(name, config))


def _withdrawal_panel(name: str, config: Config) -> WithdrawalPanel | None:
    """Return the panel with the button for one sample, and with its result for the other."""
    if name not in {"withdraw", "withdrawn"}:
        return None
    return panel(
        ref="sample" if name == "withdraw" else "",
        holdings=_BALANCES if name == "withdraw" else {},
        kinds=tuple(Kind),
        withdrawal=None if name == "withdraw" else _WITHDRAWN,
        zone=config.cards.time_zone,
    )
