"""Samples: made-up data for every kind of card, for `notifier check`, `notifier preview` and the tests."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from decimal import Decimal

from notifier.cards.balance_text import balance_change_card, own_line
from notifier.cards.templates import (
    ANSWER_TEMPLATES,
    DIGEST_TEMPLATES,
    PERSONAL_TEMPLATES,
    SETTINGS_TEMPLATES,
    WITHDRAWAL_TEMPLATES,
)
from notifier.cards.withdrawal_text import panel, withdrawal_card
from notifier.clock import DAY_MS, MINUTE_MS
from notifier.config.settings import Config
from notifier.domain.answers.answer_card import AnswerCard
from notifier.domain.card import BalanceChangeCard, Bilingual, WithdrawalCard, WithdrawalPanel
from notifier.domain.delivery import CardVariant
from notifier.domain.digest_card import DigestCard
from notifier.domain.money import LARGEST, POINTS, Asset, Kind
from notifier.domain.notice import Notice, NoticeReason
from notifier.domain.payout import Payout, PayoutState
from notifier.domain.preferences.settings_card import SettingsCard
from notifier.domain.withdrawal import Role, Withdrawal, WithdrawalState
from notifier.errors import ConfigError
from notifier.operations.language import say
from notifier.operations.sample_digests import DIGEST_SAMPLES, PERSONAL_SAMPLES, make_digest_sample
from notifier.operations.samples.answer_samples import ANSWER_SAMPLES, make_answer_sample
from notifier.operations.samples.balance_samples import (
    ACCOUNT,
    AT,
    BALANCE_CASES,
    CNY,
    HOSTILE_NAME,
    JPY,
    KWD,
    SAMPLE_PERSON,
    USD,
    BalanceCase,
)
from notifier.operations.samples.descriptions import DESCRIPTIONS
from notifier.operations.samples.settings_samples import SETTINGS_SAMPLES, make_settings_sample

_ORDER_ID = "rn-5d0c7a41b2e84f6f9a3e0d1c3f9a1c2b"

SAMPLES = tuple(BALANCE_CASES)
"""Samples for balance cards."""

_BALANCES = {CNY: Decimal(1200), POINTS: Decimal(120)}
_WITHDRAWN = Withdrawal(
    id=1,
    order_id=_ORDER_ID,
    account_ref=1,
    account=ACCOUNT,
    kinds=tuple(Kind),
    state=WithdrawalState.WITHDRAWN,
    withdrawal_count=0,
    requested_by=SAMPLE_PERSON.open_id,
    delivery_id=1,
    agreed=_BALANCES,
    role=Role.REFERRER,
    requested_at=AT + MINUTE_MS,
    attempts=1,
    withdrawn=_BALANCES,
    withdrawn_at=AT + 62_000,
)

_MANY_AMOUNTS = {
    **_BALANCES,
    CNY: LARGEST,
    USD: Decimal("80.5"),
    JPY: Decimal(12000),
    KWD: Decimal("12.375"),
    Asset(Kind.CASH, "QQQ"): Decimal("35.5"),
}
_ASKED_BY_HR = replace(_WITHDRAWN, requested_by="ou_sample_hr", role=Role.OPERATOR)
_PAYOUT = Payout(
    id=1,
    order_id=_ORDER_ID,
    account_ref=1,
    account=ACCOUNT,
    state=PayoutState.PENDING,
    body="{}",
    created_at=AT + 63_000,
    due_at=AT,
)
_SENT = replace(_PAYOUT, state=PayoutState.SENT, sent_at=AT + 64_000)
_PAID = replace(_SENT, state=PayoutState.PAID, settled_at=AT + 3 * DAY_MS, reference="WIRE-2026-0042")
_FAILED = replace(_PAID, state=PayoutState.FAILED, reference="", reason="收款账户已注销")
_NOTHING_WITHDRAWN = replace(_WITHDRAWN, withdrawn=None, withdrawn_at=None)


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
    is_nobody: bool = False
    """Whether Feishu names no referrer."""


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
        payout=replace(_FAILED, reference=HOSTILE_NAME[:128], reason=HOSTILE_NAME[:500]),
        hostile=True,
    ),
    "ended": _WithdrawalCase(withdrawal=replace(_NOTHING_WITHDRAWN, state=WithdrawalState.ENDED)),
    "stuck": _WithdrawalCase(
        withdrawal=replace(_NOTHING_WITHDRAWN, state=WithdrawalState.REQUESTED, expected=_BALANCES),
        reason=NoticeReason.STUCK,
    ),
    "payout-unknown": _WithdrawalCase(
        withdrawal=_WITHDRAWN,
        payout=replace(_PAYOUT, state=PayoutState.UNKNOWN),
        reason=NoticeReason.PAYOUT_UNKNOWN,
    ),
    "unconfirmed": _WithdrawalCase(
        withdrawal=replace(_WITHDRAWN, expected=_BALANCES),
        payout=replace(_PAYOUT, state=PayoutState.UNCONFIRMED),
        reason=NoticeReason.PAYOUT_UNCONFIRMED,
    ),
    "receipt-currencies": _WithdrawalCase(
        withdrawal=replace(_ASKED_BY_HR, agreed=_MANY_AMOUNTS, withdrawn=_MANY_AMOUNTS),
        payout=_PAYOUT,
        audience="referrer",
    ),
    "receipt-nobody": _WithdrawalCase(withdrawal=_ASKED_BY_HR, payout=_PAYOUT, is_nobody=True),
}
WITHDRAWAL_SAMPLES = tuple(_WITHDRAWAL_CASES)
"""Samples for withdrawal cards."""


_SAMPLES_BY_TEMPLATE = {
    **dict.fromkeys(WITHDRAWAL_TEMPLATES.values(), WITHDRAWAL_SAMPLES),
    **dict.fromkeys(ANSWER_TEMPLATES.values(), ANSWER_SAMPLES),
    **dict.fromkeys(SETTINGS_TEMPLATES.values(), SETTINGS_SAMPLES),
    **dict.fromkeys(DIGEST_TEMPLATES.values(), DIGEST_SAMPLES),
    PERSONAL_TEMPLATES[CardVariant.FULL]: PERSONAL_SAMPLES,
    PERSONAL_TEMPLATES[CardVariant.COMPACT]: (*DIGEST_SAMPLES, *PERSONAL_SAMPLES),
}
ALL_SAMPLES = (
    *SAMPLES,
    *WITHDRAWAL_SAMPLES,
    *ANSWER_SAMPLES,
    *SETTINGS_SAMPLES,
    *DIGEST_SAMPLES,
    *PERSONAL_SAMPLES,
)


def describe_sample(name: str) -> Bilingual:
    """Return what a sample shows, in one line. Raises KeyError for an unknown name."""
    return DESCRIPTIONS[name]


def list_descriptions() -> list[str]:
    """Return each sample with its description, as lines in the language of the locale."""
    width = max(map(len, ALL_SAMPLES)) + 2
    return [f"{name:{width}}{say(describe_sample(name))}" for name in ALL_SAMPLES]


def list_samples(template: str) -> tuple[str, ...]:
    """List the samples of a template. A custom template gets the samples for balance cards."""
    return _SAMPLES_BY_TEMPLATE.get(template, SAMPLES)


def make_sample(
    name: str, config: Config, *, allowed: Collection[str] = ALL_SAMPLES
) -> BalanceChangeCard | WithdrawalCard | DigestCard | AnswerCard | SettingsCard:
    """Build the card of a sample. Raises ConfigError if the name is not allowed."""
    if name not in allowed:
        raise ConfigError(
            f"--sample: there is no sample {name!r} for this. There are: {', '.join(allowed)}.",
            zh=f"--sample：没有可用的样例 {name!r}。现有：{', '.join(allowed)}。",
        )
    if name in SETTINGS_SAMPLES:
        return make_settings_sample(name, config)
    card: BalanceChangeCard | WithdrawalCard | AnswerCard
    if name in BALANCE_CASES:
        card = _balance_card(BALANCE_CASES[name], config)
    elif name in _WITHDRAWAL_CASES:
        card = _withdrawal_card(_WITHDRAWAL_CASES[name], config)
    elif name in ANSWER_SAMPLES:
        card = make_answer_sample(name, config)
    else:
        return make_digest_sample(name, config)
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
    person = None if order.is_nobody else SAMPLE_PERSON
    if order.hostile and person is not None:
        person = replace(person, name_zh=HOSTILE_NAME, name_en=HOSTILE_NAME)
    return withdrawal_card(
        [Notice(key="sample", account=ACCOUNT, reason=order.reason, occurred_at=AT, order_id=_ORDER_ID)],
        now_shown=shown,
        audience=order.audience,
        referrer=person,
        reroute=order.reroute,
        asked_at=AT + 8 * DAY_MS,
    )


def _balance_card(case: BalanceCase, config: Config) -> BalanceChangeCard:
    card = balance_change_card(
        case.notices,
        audience=case.audience,
        referrer=case.person,
        zone=config.cards.time_zone,
        reroute=case.reroute,
    )
    return replace(card, withdrawal=_withdrawal_panel(case, config) if case.panel else None)


_PANEL_WITHDRAWALS = {
    "offered": None,
    "withdrawn": _WITHDRAWN,
    "superseded": _WITHDRAWN,
    "processing": replace(_NOTHING_WITHDRAWN, state=WithdrawalState.REQUESTED, expected=_BALANCES),
    "refused": replace(_NOTHING_WITHDRAWN, state=WithdrawalState.REFUSED, code=1002555),
}


def _withdrawal_panel(case: BalanceCase, config: Config) -> WithdrawalPanel | None:
    """Return the panel of a balance card. It offers the balance after the last change of each asset."""
    has_button = case.panel in {"offered", "refused"}
    holdings = {change.asset: change.after for notice in case.notices for change in notice.changes}
    return panel(
        ref="sample" if has_button else "",
        holdings=holdings if has_button else {},
        kinds=tuple(Kind),
        withdrawal=_PANEL_WITHDRAWALS[case.panel],
        is_superseded=case.panel == "superseded",
        zone=config.cards.time_zone,
    )
