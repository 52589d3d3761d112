"""Texts about balances: domain values as people read them. Figures are the same in both languages, labels are not."""

import functools
import re
from collections.abc import Sequence
from datetime import tzinfo
from decimal import Decimal

from babel.core import Locale
from babel.numbers import get_currency_precision, get_currency_symbol, list_currencies

from notifier.cards.templating.texts import TextCatalogue, current_texts, side_by_side, text
from notifier.clock import Millis, from_millis
from notifier.domain.account import Referrer
from notifier.domain.card import AmountFigure, AmountLine, BalanceChangeCard, Bilingual, ChangeStep, Person
from notifier.domain.card_state import ReleasedBalance
from notifier.domain.contact_data import HIDDEN
from notifier.domain.event import AccountKey
from notifier.domain.failure_reasons import find_failure_reason
from notifier.domain.ledger import BalanceChange
from notifier.domain.money import POINTS, Amounts, Asset, Kind
from notifier.domain.notice import Notice, NoticeReason
from notifier.domain.route import RerouteReason, parse_reroute_reason

FIGURES = Locale.parse("zh_CN")
"""The locale of all figures, in both languages: ¥ is the yuan, US$ the dollar, JP¥ the yen."""

MAX_NAME_LENGTH = 40
MAX_OWN_LINE_LENGTH = 200
"""Of `cards.contact` and `cards.payday`, in characters."""
ORDER_ID_TAIL = 8
"""Characters of an order id that a card shows."""
MAX_STEPS = 10
MAX_AMOUNT_LINES = 12

_EMAIL = re.compile(r"[^\s@<>()\[\]]+@[^\s@<>()\[\]]+\.[^\s@<>()\[\]]+")
_PHONE = re.compile(r"\+?\d[\d\-. ()]{5,}\d")
_MARKS = re.compile(
    r"([\u0300-\u036f\u1ab0-\u1aff\u20d0-\u20ff]{2})[\u0300-\u036f\u1ab0-\u1aff\u20d0-\u20ff]+"
)
_JOINERS = "\u200c\u200d\ufe0f"
"""These join emoji and letters. Alone they are invisible."""


def money(asset: Asset, amount: Decimal) -> str:
    """Return an amount as text: `¥1,200.00`, `JP¥1,200`, `1,200` (points), `XYZ 1,200.00` (unknown currency).

    An unknown number of Feishu's stands apart: `1,200.00（币种 currency 49）`.
    """
    exponent = amount.normalize().as_tuple().exponent
    decimals = max(0, -exponent) if isinstance(exponent, int) else 0
    if asset.kind is Kind.POINTS:
        return f"{amount:,.{decimals}f}"
    symbol, least_decimals = _currencies().get(asset.currency, ("", 2))
    figures = f"{amount:,.{max(least_decimals, decimals)}f}"
    if symbol:
        return f"-{symbol}{figures[1:]}" if figures.startswith("-") else f"{symbol}{figures}"
    if (
        asset.currency.isdecimal()
    ):  # a number of Feishu's that is newer than our list is not a part of the amount
        word = side_by_side(text("amount.currency_number"), " ")
        return f"{figures}（{word} {asset.currency}）"
    return f"{clean(asset.currency, 16)} {figures}"


@functools.cache
def _currencies() -> dict[str, tuple[str, int]]:
    """Return the symbol and the number of decimals of each currency of ISO 4217."""
    return {
        code: (get_currency_symbol(code, FIGURES), get_currency_precision(code))
        for code in list_currencies(FIGURES)
    }


def signed(asset: Asset, delta: Decimal) -> str:
    """Return a change as text, with its sign: `+¥500.00`, `-¥50.00`. Zero has no sign."""
    return f"+{money(asset, delta)}" if delta > 0 else money(asset, delta)


def clean(untrusted: str, longest: int = MAX_NAME_LENGTH) -> str:
    """Return untrusted text as one short line, without invisible characters and contact data.

    longest: in characters. Longer text ends in an ellipsis. Invisible characters can hide or turn other text.
    """
    return _cut(_PHONE.sub("***", _EMAIL.sub("***", _visible_line(untrusted, longest))), longest)


def own_line(zh: str, en: str) -> Bilingual | None:
    """Return a line that the operator configured, or None if it is empty in both languages.

    A missing language shows the text of the other one. The configuration takes no e-mail address and no phone number.
    """
    line_zh, line_en = (
        _cut(_visible_line(each, MAX_OWN_LINE_LENGTH), MAX_OWN_LINE_LENGTH) for each in (zh, en)
    )
    if not line_zh and not line_en:
        return None
    return Bilingual(zh=line_zh or line_en, en=line_en or line_zh)


def short_order_id(order_id: str) -> str:
    """Return an order id as a card shows it: its last characters, such as `…3f9a1c2b`. The CLI shows it whole."""
    return order_id if len(order_id) <= ORDER_ID_TAIL else f"…{order_id[-ORDER_ID_TAIL:]}"


def _visible_line(untrusted: str, longest: int) -> str:
    return _MARKS.sub(r"\1", " ".join(HIDDEN.sub("", untrusted[: longest * 20]).split()))


def _cut(shown: str, longest: int) -> str:
    if not shown.strip(f" {_JOINERS}"):
        return ""
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def person(referrer: Referrer) -> Person:
    """Return a referrer as a card shows them. A missing name comes from the other language."""
    name_zh, name_en = clean(referrer.name_zh), clean(referrer.name_en)
    return Person(
        open_id=referrer.open_id,
        name=Bilingual(zh=name_zh or name_en, en=name_en or name_zh)
        if name_zh or name_en
        else text("person.no_name"),
    )


def label(asset: Asset) -> Bilingual:
    """Return the name of an asset: `积分 / Points`, `现金（CNY） / Cash (CNY)`."""
    return _label(current_texts(), asset)


@functools.lru_cache(maxsize=256)
def _label(texts: TextCatalogue, asset: Asset) -> Bilingual:
    if asset.kind is Kind.POINTS:
        return texts.text("asset.points", {})
    currency = clean(asset.currency, 16)
    key = "asset.cash_number" if currency.isdecimal() else "asset.cash"
    return texts.text(key, {"currency": currency})


def reroute_reason(stored: str) -> Bilingual:
    """Return the sentence that explains why a card is in the fallback group.

    stored: as RerouteReason.with_details returns it. The error code determines the text; the details in it are for
    operators.
    """
    reason, code = parse_reroute_reason(stored)
    if reason is RerouteReason.ACCOUNT_UNKNOWN:
        return text("reroute.account_unknown")
    is_group = reason is RerouteReason.GROUP_UNREACHABLE
    recipient = text("reroute.recipient.group" if is_group else "reroute.recipient.referrer")
    cause = find_failure_reason(code)
    if is_group and code is None:
        cause = text("reroute.group_not_configured")
    if cause is None:
        return text("reroute.unreachable", recipient=recipient)
    return text("reroute.unreachable_because", recipient=recipient, reason=cause)


def balance_change_card(
    notices: Sequence[Notice],
    *,
    audience: str,
    referrer: Referrer | None,
    zone: tzinfo,
    reroute: str | None,
    released: ReleasedBalance | None = None,
) -> BalanceChangeCard:
    """Return what a balance card shows.

    notices: at least one, all of one account, in the order of their changes. audience: referrer or group. zone: for
    times that Feishu cannot show in the reader's own time zone. reroute: the stored reason why the card does not go
    to its intended recipient, or None. released: the balance after a wait, which the card shows; None: it did not wait.
    """
    first, last = notices[0], notices[-1]
    opening = first.reason is NoticeReason.OPENING
    steps = tuple(_step(notice) for notice in notices) if len(notices) > 1 else ()
    lines = _net_lines(notices, opening=opening, balances=released.amounts if released else None)
    return BalanceChangeCard(
        direction=_direction(lines, opening=opening),
        audience=audience,
        account_id=account_id(last.account),
        referrer=person(referrer) if referrer else None,
        lines=lines[:MAX_AMOUNT_LINES],
        steps=steps[-MAX_STEPS:],
        hidden_steps=max(0, len(steps) - MAX_STEPS),
        occurred_at=last.occurred_at,
        occurred_at_text=moment(last.occurred_at, zone),
        reroute_reason=reroute_reason(reroute) if reroute else None,
        recovered=last.recovered,
        withdrawn_since=_withdrawn_since(released) if released else (),
    )


def account_id(account: AccountKey) -> str:
    """Return an account id for a card. Feishu's ids are digits; any other text is cleaned."""
    return account.account_id if account.account_id.isdigit() else clean(account.account_id, 64)


def moment(at: Millis, zone: tzinfo) -> str:
    """Return a time as `2026-01-15 16:00` in the zone. at: milliseconds since the epoch, UTC."""
    return from_millis(at).astimezone(zone).strftime("%Y-%m-%d %H:%M")


def _withdrawn_since(released: ReleasedBalance) -> tuple[AmountFigure, ...]:
    figures = (
        AmountFigure(label=label(asset), text=money(asset, each))
        for asset, each in released.withdrawn.items()
    )
    return tuple(figures)[:MAX_AMOUNT_LINES]


def _net_lines(
    notices: Sequence[Notice], *, opening: bool, balances: Amounts | None
) -> tuple[AmountLine, ...]:
    """Return one line per asset: the sum of its changes and the balance after the last one, or the one in `balances`.

    The balance after one change may differ from the balance before the next one: a withdrawal of ours between them
    has a card of its own and is not part of the sum.
    """
    net: dict[Asset, BalanceChange] = {}
    for notice in notices:
        for change in _changes(notice):
            so_far = net.get(change.asset)
            before = change.before - so_far.delta if so_far else change.before
            net[change.asset] = BalanceChange(asset=change.asset, before=before, after=change.after)
    if balances is not None:
        for asset, change in net.items():
            after = balances.get(asset, Decimal(0))
            net[asset] = BalanceChange(asset=asset, before=after - change.delta, after=after)
    return tuple(
        _line(net[asset], opening=opening) for asset in sorted(net, key=lambda a: (a.kind, a.currency))
    )


def _step(notice: Notice) -> ChangeStep:
    opening = notice.reason is NoticeReason.OPENING
    return ChangeStep(
        occurred_at=notice.occurred_at,
        lines=tuple(_line(change, opening=opening) for change in _changes(notice)[:MAX_AMOUNT_LINES]),
    )


def _changes(notice: Notice) -> tuple[BalanceChange, ...]:
    """An empty account shows a zero on its first notice."""
    return notice.changes or (BalanceChange(asset=POINTS, before=Decimal(0), after=Decimal(0)),)


def _line(change: BalanceChange, *, opening: bool) -> AmountLine:
    delta = change.delta
    return AmountLine(
        kind=change.asset.kind,
        currency=clean(change.asset.currency, 16),
        label=label(change.asset),
        before=None if opening else money(change.asset, change.before),
        delta=None if opening else signed(change.asset, delta),
        after=money(change.asset, change.after),
        trend="flat" if opening or delta == 0 else "up" if delta > 0 else "down",
    )


def _direction(lines: Sequence[AmountLine], *, opening: bool) -> str:
    if opening:
        return "opening"
    trends = {line.trend for line in lines} - {"flat"}
    if trends == {"up"}:
        return "increase"
    return "decrease" if trends == {"down"} else "mixed"
