"""Sentences of several texts: amounts in a row, the changes of a period, the check of a digest."""

from collections.abc import Iterable, Sequence

from notifier.cards.templating.texts import text
from notifier.domain.card import AmountFigure, Bilingual
from notifier.domain.digest_card import FlowBlock, ProgressView

MOVES = ("rewards", "first_seen", "withdrawn", "corrections", "net", "later")
"""Fields of a FlowBlock, in the order in which a card lists the changes."""


def list_amounts(amounts: Iterable[AmountFigure]) -> Bilingual:
    """Return amounts on one line: `现金（CNY） ¥1,200.00、积分 120`."""
    shown = [text("amount.labelled", label=each.label, amount=each.text) for each in amounts]
    return join(shown, text("amount.separator"))


def changes_of(flow: FlowBlock, separator: Bilingual | str) -> Bilingual:
    """Return the changes of an asset: `新增奖励 +¥500.00`, and so on."""
    shown = [text(f"digest.flow.{name}", amount=amount) for name in MOVES if (amount := getattr(flow, name))]
    return join(shown, separator)


def proofs_of(flows: Sequence[FlowBlock]) -> Bilingual:
    """Return the check "opening + changes = balance", one line per asset."""
    shown = [text("digest.proof.title"), *(_proof(flow) for flow in flows)]
    return join(shown if flows else [*shown, text("digest.proof.empty")], "\n")


def _proof(flow: FlowBlock) -> Bilingual:
    values = {
        "label": flow.label,
        "opening": flow.opening,
        "net": flow.net_signed,
        "balance": flow.balance,
        "check": text("digest.proof.balanced" if flow.adds_up else "digest.proof.not_balanced"),
    }
    if flow.later:
        shown = text("digest.proof.sum_later", later=flow.later_signed, **values)
    else:
        shown = text("digest.proof.sum", **values)
    if not flow.previous_closing:
        return shown
    return join([shown, text("digest.proof.previous", amount=flow.previous_closing)], "")


def counts_of(progress: ProgressView) -> Bilingual:
    """Return how far a batch of withdrawals is: `5/12，失败 1`."""
    shown = [text("digest.progress.counts", done=progress.done, total=progress.total)]
    for name, count in (
        ("failed", progress.failed),
        ("skipped", progress.skipped_count),
        ("nothing", progress.nothing),
    ):
        if count:
            shown.append(text(f"digest.progress.{name}", count=count))
    return join(shown, "")


def join(shown: Sequence[Bilingual], separator: Bilingual | str) -> Bilingual:
    """Join texts in each language."""
    zh, en = (separator, separator) if isinstance(separator, str) else (separator.zh, separator.en)
    return Bilingual(zh=zh.join([each.zh for each in shown]), en=en.join([each.en for each in shown]))
