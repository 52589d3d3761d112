"""Sentences of several texts: amounts in a row, the changes of a period, the check of a digest."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from notifier.cards.templating.texts import text
from notifier.domain.card import AmountFigure, Bilingual
from notifier.domain.digest_card import FlowBlock, ProgressView

MOVES = ("rewards", "first_seen", "withdrawn", "corrections", "net", "later")
"""Fields of a FlowBlock, in the order in which a card lists the changes."""


def list_amounts(amounts: Iterable[AmountFigure]) -> Bilingual:
    """Return amounts on one line: `现金（CNY） ¥1,200.00、积分 120`."""
    shown = [
        text("amount.labelled", label=_read(each, "label"), amount=_read(each, "text")) for each in amounts
    ]
    return join(shown, text("amount.separator"))


def changes_of(flow: FlowBlock, separator: Bilingual | str) -> Bilingual:
    """Return the changes of an asset: `新增奖励 +¥500.00`, and so on."""
    shown = [text(f"digest.flow.{name}", amount=amount) for name in MOVES if (amount := _read(flow, name))]
    return join(shown, separator)


def proofs_of(flows: Sequence[FlowBlock]) -> Bilingual:
    """Return the check "opening + changes = balance", one line per asset."""
    shown = [text("digest.proof.title"), *(_proof(flow) for flow in flows)]
    return join(shown if flows else [*shown, text("digest.proof.empty")], "\n")


def _proof(flow: FlowBlock) -> Bilingual:
    values = {
        "label": _read(flow, "label"),
        "opening": _read(flow, "opening"),
        "net": _read(flow, "net_signed"),
        "balance": _read(flow, "balance"),
        "check": text("digest.proof.balanced" if _read(flow, "adds_up") else "digest.proof.not_balanced"),
    }
    if _read(flow, "later"):
        shown = text("digest.proof.sum_later", later=_read(flow, "later_signed"), **values)
    else:
        shown = text("digest.proof.sum", **values)
    if not _read(flow, "previous_closing"):
        return shown
    return join([shown, text("digest.proof.previous", amount=_read(flow, "previous_closing"))], "")


def counts_of(progress: ProgressView) -> Bilingual:
    """Return how far a batch of withdrawals is: `5/12，失败 1`."""
    shown = [text("digest.progress.counts", done=_read(progress, "done"), total=_read(progress, "total"))]
    for name, count in (
        ("failed", _read(progress, "failed")),
        ("skipped", _read(progress, "skipped_count")),
        ("nothing", _read(progress, "nothing")),
    ):
        if count:
            shown.append(text(f"digest.progress.{name}", count=count))
    return join(shown, "")


def join(shown: Sequence[Bilingual], separator: Bilingual | str) -> Bilingual:
    """Join texts in each language."""
    zh, en = (separator, separator) if isinstance(separator, str) else (separator.zh, separator.en)
    return Bilingual(zh=zh.join([each.zh for each in shown]), en=en.join([each.en for each in shown]))


def _read(value: object, name: str) -> Any:  # noqa: ANN401 - whatever the field holds
    """Return a field of a card's value, which is an object in a file with variables."""
    return value[name] if isinstance(value, Mapping) else getattr(value, name)
