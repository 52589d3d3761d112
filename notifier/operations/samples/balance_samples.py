"""Balance samples: made-up balance changes, one for every kind of balance card and for data that is hard to show."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from notifier.clock import MINUTE_MS
from notifier.domain.account import Referrer
from notifier.domain.event import AccountKey
from notifier.domain.ledger import BalanceChange
from notifier.domain.money import LARGEST, POINTS, Asset, Kind
from notifier.domain.notice import Notice, NoticeReason

ACCOUNT = AccountKey(tenant_key="sample", app_id="sample", account_id="7000000000000000001")
SAMPLE_PERSON = Referrer(open_id="ou_sample", name_zh="示例同事", name_en="Sample Colleague")
AT = 1_700_000_000_000
"""The time of all samples, Unix milliseconds."""
CNY, USD, JPY, KWD = (Asset(Kind.CASH, code) for code in ("CNY", "USD", "JPY", "KWD"))
HOSTILE_NAME = "<at id=all></at>[x](http://x.invalid) {{ 7*7 }} \"'\n\\ \u202eabc **b** 🎉" + "长" * 100_000
UNREACHABLE = "unreachable 230029: this person has resigned"
GROUP, REFERRER = "group", "referrer"


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceCase:
    """The notices of one card, and who reads it."""

    notices: tuple[Notice, ...]
    """Oldest first."""
    audience: str = REFERRER
    """`referrer` or `group`."""
    person: Referrer | None = SAMPLE_PERSON
    """The referrer; None: Feishu names nobody."""
    reroute: str | None = None
    """Why it goes to the fallback group; None: it does not."""
    panel: str = ""
    """State of its withdrawal part: `offered`, `withdrawn`, `superseded`, `processing` or `refused`; "": it has none.
    """


def _change(asset: Asset, before: str, after: str) -> BalanceChange:
    return BalanceChange(asset=asset, before=Decimal(before), after=Decimal(after))


def _notice(*changes: BalanceChange, reason: NoticeReason = NoticeReason.CHANGE, minutes: int = 0) -> Notice:
    return Notice(
        key="sample", account=ACCOUNT, reason=reason, occurred_at=AT + minutes * MINUTE_MS, changes=changes
    )


def _cash(code: str, before: str, after: str) -> Notice:
    return _notice(_change(Asset(Kind.CASH, code), before, after))


def _named(name_zh: str, name_en: str) -> BalanceCase:
    person = replace(SAMPLE_PERSON, name_zh=name_zh, name_en=name_en)
    return BalanceCase(notices=(_INCREASE,), audience=GROUP, person=person)


_INCREASE = _cash("CNY", "700", "1200")
_BOTH = _notice(_change(CNY, "700", "1200"), _change(POINTS, "20", "120"))
_OPENING = _notice(_change(CNY, "0", "350.50"), _change(POINTS, "0", "120"), reason=NoticeReason.OPENING)
_MIXED = _notice(_change(CNY, "0", "500"), _change(POINTS, "120", "0"))
_RECOVERED = replace(_INCREASE, recovered=True)
_CODES = ("CNY", "USD", "JPY", "KWD", "EUR", "GBP", "HKD", "TWD", "SGD", "INR", "KRW", "VND", "XTS")

BALANCE_CASES: Mapping[str, BalanceCase] = {
    "increase": BalanceCase(notices=(_BOTH,)),
    "decrease": BalanceCase(notices=(_cash("CNY", "1200", "900.50"),)),
    "mixed": BalanceCase(notices=(_MIXED,)),
    "opening": BalanceCase(notices=(_OPENING,)),
    "folded": BalanceCase(
        notices=(
            _cash("CNY", "0", "500"),
            _notice(_change(CNY, "500", "800"), minutes=5),
            _notice(_change(USD, "0", "80"), _change(JPY, "0", "12000"), minutes=9),
        )
    ),
    "group": BalanceCase(notices=(_INCREASE,), audience=GROUP),
    "rerouted": BalanceCase(notices=(_INCREASE,), audience=GROUP, reroute=UNREACHABLE),
    "nobody": BalanceCase(notices=(_INCREASE,), audience=GROUP, person=None, reroute="account_unknown"),
    "withdraw": BalanceCase(notices=(_BOTH,), panel="offered"),
    "withdrawn": BalanceCase(notices=(_BOTH,), audience=GROUP, panel="withdrawn"),
    "recovered": BalanceCase(notices=(_RECOVERED,)),
    "hostile": BalanceCase(
        notices=(_cash("[x](http:", "1", "2"),),
        audience=GROUP,
        person=replace(SAMPLE_PERSON, name_zh=HOSTILE_NAME, name_en=HOSTILE_NAME),
    ),
    "points": BalanceCase(notices=(_notice(_change(POINTS, "20", "120")),)),
    "points-decrease": BalanceCase(notices=(_notice(_change(POINTS, "120", "20")),)),
    "usd": BalanceCase(notices=(_cash("USD", "0", "80"),)),
    "jpy": BalanceCase(notices=(_cash("JPY", "3000", "15000"),)),
    "kwd": BalanceCase(notices=(_cash("KWD", "1.25", "12.375"),)),
    "unknown-currency": BalanceCase(notices=(_cash("QQQ", "10", "35.5"),)),
    "numbered-currency": BalanceCase(notices=(_cash("49", "10", "35.5"),)),
    "long-currency": BalanceCase(notices=(_cash("SAMPLE-CURRENCY-WITH-A-LONG-CODE", "10", "35.5"),)),
    "many-currencies": BalanceCase(
        notices=(
            _notice(
                *(_change(Asset(Kind.CASH, code), "10", "35") for code in _CODES), _change(POINTS, "0", "5")
            ),
        ),
        panel="offered",
    ),
    "zero-opening": BalanceCase(notices=(_notice(reason=NoticeReason.OPENING),)),
    "to-zero": BalanceCase(notices=(_cash("CNY", "1200", "0"),)),
    "huge": BalanceCase(notices=(_cash("CNY", "0.0001", str(LARGEST)),), panel="offered"),
    "tiny": BalanceCase(notices=(_cash("CNY", "0", "0.0001"),)),
    "negative": BalanceCase(notices=(_cash("CNY", "30", "-20.50"),)),
    "forty-changes": BalanceCase(
        notices=tuple(
            _notice(_change(CNY, str(100 * number), str(100 * number + 100)), minutes=number)
            for number in range(40)
        )
    ),
    "opening-group": BalanceCase(notices=(_OPENING,), audience=GROUP),
    "decrease-group": BalanceCase(notices=(_cash("CNY", "1200", "900.50"),), audience=GROUP),
    "mixed-group": BalanceCase(notices=(_MIXED,), audience=GROUP),
    "recovered-group": BalanceCase(notices=(_RECOVERED,), audience=GROUP),
    "recovered-rerouted": BalanceCase(notices=(_RECOVERED,), audience=GROUP, reroute=UNREACHABLE),
    "group-unreachable": BalanceCase(
        notices=(_INCREASE,), audience=GROUP, reroute="group_unreachable 230002: the bot is not in the group"
    ),
    "withdraw-group": BalanceCase(notices=(_BOTH,), audience=GROUP, panel="offered"),
    "withdraw-processing": BalanceCase(notices=(_BOTH,), panel="processing"),
    "withdraw-refused": BalanceCase(notices=(_BOTH,), panel="refused"),
    "withdraw-superseded": BalanceCase(notices=(_BOTH,), panel="superseded"),
    "no-referrer": BalanceCase(notices=(_INCREASE,), audience=GROUP, person=None),
    "no-name": _named("", ""),
    "english-name-only": _named("", "Sample Colleague"),
    "long-name": _named(
        "示例同事" + "欧阳上官" * 12,
        "Sample Colleague with an Exceptionally Long Hyphenated-Double-Barrelled Name",
    ),
    "rtl-name": _named("示例 زميل تجريبي", "Sample עמית לדוגמה"),
    "emoji-name": _named("示例👩🏽‍💻👨‍👩‍👧‍👦🏳️‍🌈", "Sample 👩🏽‍💻👨‍👩‍👧‍👦🏳️‍🌈 Colleague 🇨🇳"),
    "combining-name": _named("示例é̂̃̄̅同事", "Sample Z̷̨̛a̴l̵g̶o̷ Colleague"),
    "markup-name": _named("**示例**[同事](http://x.invalid)", "<font color='red'>Sample</font> `Colleague`"),
    "mention-name": _named("示例<at id=all></at>", 'Sample <at user_id="all">Everyone</at>'),
    "contact-name": _named("示例 13800138000", "sample.colleague@example.com"),
}
"""The first twelve are the oldest ones, in the order in which `notifier preview` offers them."""
