"""The chart of a digest: a VChart specification that is readable at 303 × 170 pixels, and the texts beside it."""

from collections.abc import Sequence
from decimal import Decimal
from statistics import median_low

from notifier.cards.balance_text import label, money
from notifier.cards.templating.sentences import join
from notifier.cards.templating.texts import side_by_side, text
from notifier.domain.card import Bilingual
from notifier.domain.digest import DayFlow
from notifier.domain.money import Asset

KINDS = ("rewards", "withdrawn", "first_seen")
"""Fields of a DayFlow. Three names in the legend must fit in one row on a phone."""
OUTLIER = 10
"""A day is an outlier if its largest bar is more than this many times the median of the days."""
MAX_NOTED = 3


def chart_title(asset: Asset) -> Bilingual:
    """Return the line above the chart. A title inside takes height from the bars."""
    return text("digest.chart.title", label=label(asset))


def chart_spec(days: Sequence[DayFlow]) -> dict[str, object]:
    """Return the VChart specification: per day a bar of rewards, one of withdrawals, and one of first balances.

    Days without first recorded balances have no such bar. They are part of the net change, so readers look for them.
    """
    limit = _limit(days)
    names = {part: side_by_side(text(f"digest.chart.legend.{part}"), " ") for part in KINDS}
    amounts: dict[str, object] = {"orient": "left", "label": {"formatter": "{label:,}"}}
    if limit is not None:
        amounts["max"] = _number(limit)
    return {
        "type": "bar",
        "padding": 8,
        "data": [
            {
                "id": "days",
                "values": [
                    {"day": day.label, "kind": names[part], "amount": _number(getattr(day, part))}
                    for day in days
                    for part in KINDS
                    if part != "first_seen" or day.first_seen
                ],
            }
        ],
        "xField": ["day", "kind"],
        "yField": "amount",
        "seriesField": "kind",
        "axes": [{"orient": "bottom"}, amounts],
        "region": [{"clip": True}],
        "legends": {"visible": True, "orient": "bottom", "maxRow": 1, "padding": [4, 0, 0, 0]},
    }


def chart_note(asset: Asset, days: Sequence[DayFlow]) -> Bilingual | None:
    """Return the amounts of the bars that are cut off; None: no bar is."""
    limit = _limit(days)
    if limit is None:
        return None
    cut = [
        text(f"digest.chart.bar.{part}", day=day.label, amount=money(asset, getattr(day, part)))
        for day in days
        for part in KINDS
        if getattr(day, part) > limit
    ]
    bars = join(cut[:MAX_NOTED], text("amount.separator"))
    rest = len(cut) - MAX_NOTED
    if rest > 0:
        return text("digest.chart.cut_off_more", bars=bars, count=rest)
    return text("digest.chart.cut_off", bars=bars)


def _limit(days: Sequence[DayFlow]) -> Decimal | None:
    """The upper end of the axis if outliers would flatten all other days; None: every bar fits."""
    tops = [top for day in days if (top := max(getattr(day, part) for part in KINDS)) > 0]
    if not tops:
        return None
    usual = OUTLIER * median_low(tops)
    if max(tops) <= usual:
        return None
    return max(top for top in tops if top <= usual) * Decimal("1.1")


def _number(amount: Decimal) -> int | float:
    """Only for the chart, whose numbers are floats."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)
