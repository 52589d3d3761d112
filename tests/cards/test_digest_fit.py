"""Digest fit: however much is listed, Feishu takes the card, now and after every press."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from notifier.cards import digest_fit
from notifier.cards.digest_fit import make_digest_fit
from notifier.cards.rules import card_problems, element_count
from notifier.clock import SystemClock
from notifier.config.settings import Config
from notifier.domain.account import Referrer
from notifier.domain.delivery import CardVariant
from notifier.domain.digest import AssetFlow, DayFlow, Digest, Holder, StalledItems, StalledPayout
from notifier.domain.money import POINTS, Asset, Kind
from notifier.domain.period import Span, whole
from notifier.runtime.factories import make_renderer
from support.builders import CNY
from support.digests import SHANGHAI

DRAWING = make_renderer(Config(), SystemClock())
CURRENCIES = [CNY, *(Asset(Kind.CASH, code) for code in ("USD", "EUR", "JPY", "HKD", "SGD", "KRW"))]


def holders(count: int, *, name: str = "林小满", assets: int = 1) -> tuple[Holder, ...]:
    return tuple(
        Holder(
            account_ref=number,
            account_id=str(7_000_000_000_000_000_000 + number),
            referrer=Referrer(
                open_id=f"ou_{number:032x}", name_zh=f"{name}{number}", name_en=f"{name}{number}"
            ),
            amounts={
                **{asset: Decimal("123456.78") for asset in CURRENCIES[:assets]},
                POINTS: Decimal(12_345),
            },
        )
        for number in range(count)
    )


def digest(count: int, *, name: str = "林小满", assets: int = 1, days: int = 7) -> Digest:
    flow = AssetFlow(
        opening=Decimal(10**9),
        first_seen=Decimal(1),
        rewards=Decimal(10**8),
        withdrawn=Decimal(10**7),
        corrections=Decimal(-5),
        net=Decimal(10**8 + 1 - 10**7 - 5),
        closing=Decimal(10**9 + 10**8 + 1 - 10**7 - 5),
    )
    stalled = StalledPayout(
        account_id="7000000000000000001", order_id="rn-" + "f" * 32, state="failed", since=1
    )
    listed = holders(count, name=name, assets=assets)
    return Digest(
        name="hr-daily",
        period=whole(Span.DAY, date(2026, 11, 20), date(2026, 11, 22), SHANGHAI),
        due_at=0,
        created_at=10**9,
        correction_number=1,
        flows=dict.fromkeys([*CURRENCIES[:assets], POINTS], flow),
        changed_accounts=count,
        changed=listed,
        holders=listed,
        charted=CNY,
        chart=tuple(
            DayFlow(label=f"11-{day:02d}", rewards=Decimal("123456.78"), withdrawn=Decimal("98765.43"))
            for day in range(days)
        ),
        stalled=StalledItems(
            undelivered=9,
            undelivered_accounts=("7000000000000000001",) * 3,
            payouts=9,
            payout_examples=(stalled,) * 3,
        ),
        offers_withdrawal=True,
    )


@pytest.mark.parametrize("count", [0, 1, 20, 50])
@pytest.mark.parametrize("name", ["林小满", "Bartholomew Featherstonehaugh-Cholmondeley", "长" * 200])
@pytest.mark.parametrize("assets, days", [(1, 7), (1, 30), (7, 30)])
def test_whatever_is_listed_every_face_of_the_card_is_one_that_feishu_takes(
    count: int, name: str, assets: int, days: int
) -> None:
    wanted = digest(count, name=name, assets=assets, days=days)
    fitted = make_digest_fit(DRAWING)(wanted)
    cards = [
        DRAWING.card(CardVariant.FULL, DRAWING.digest(fitted, panel))
        for panel in digest_fit._possible_panels(fitted)
    ]

    assert [] == [problem for card in cards for problem in card_problems(card, max_bytes=25_000)]
    assert max(element_count(card) for card in cards) <= 200
    assert count == len(fitted.changed) + fitted.more_changed == len(fitted.holders) + fitted.more_holders
    assert bool(fitted.holders) == bool(count)


def test_forty_accounts_can_be_listed_and_withdrawn() -> None:
    """As the largest firm would have it on an ordinary day: one currency and points, a week's chart."""
    ordinary = replace(digest(50), stalled=StalledItems(), correction_number=0)

    assert len(make_digest_fit(DRAWING)(ordinary).holders) >= 40


def test_what_fits_is_left_as_it_is() -> None:
    small = digest(5)

    assert small == make_digest_fit(DRAWING)(small)


def test_rows_that_can_be_withdrawn_are_kept_before_those_that_are_only_shown() -> None:
    fitted = make_digest_fit(DRAWING)(replace(digest(50), stalled=StalledItems(), correction_number=0))

    assert len(fitted.holders) > len(fitted.changed) > 0
