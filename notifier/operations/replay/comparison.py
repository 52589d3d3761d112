"""CardComparison: the differences between what was sent and what would be sent now, as text and as JSON."""

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from notifier.domain.delivery import Content
from notifier.operations.formatting import format_iso, label
from notifier.operations.language import localized
from notifier.operations.replay.readable_text import LANGUAGES, read_lines
from notifier.operations.replay.rendering import PLACEHOLDER, ReplayedCard


@dataclass(frozen=True, slots=True, kw_only=True)
class CardComparison:
    """The differences of one card. Each diff is in the unified format with the whole text; empty: no difference."""

    text_diffs: tuple[tuple[str, list[str]], ...]
    """The readable texts, by the name of the language."""
    json_diff: list[str]
    """The JSON, without the ids of buttons."""

    @property
    def is_same(self) -> bool:
        """Whether both cards are equal but for the ids of their buttons."""
        return not self.json_diff

    @property
    def text_lines(self) -> list[str]:
        """The lines of the diffs of all languages that differ."""
        return [line for _, lines in self.text_diffs for line in lines]


def compare(card: ReplayedCard, zone: tzinfo) -> CardComparison:
    """Compare the two contents of a card.

    Without a stored content, every line is new. If nothing can be rendered, nothing is compared.
    """
    if card.after is None:
        return CardComparison(text_diffs=tuple((name, []) for name in LANGUAGES.values()), json_diff=[])
    texts = tuple(
        (
            name,
            _diff(
                read_lines(card.before, language, zone),
                read_lines(card.after, language, zone),
                f" ({name})",
                card,
            ),
        )
        for language, name in LANGUAGES.items()
    )
    return CardComparison(
        text_diffs=texts,
        json_diff=_diff(_json_lines(card.before), _json_lines(card.after), " (JSON)", card),
    )


def _diff(before: Sequence[str], after: Sequence[str], name: str, card: ReplayedCard) -> list[str]:
    sent_at = format_iso(card.sent_at)
    then = f"delivery {card.stored.delivery.id}{', sent ' + sent_at if sent_at else ''}{name}"
    context = max(len(before), len(after))
    return list(difflib.unified_diff(before, after, then, f"now{name}", lineterm="", n=context))


def as_document(content: Content | None) -> Any:  # noqa: ANN401 - JSON
    """Return the content as parsed JSON; None if there is none."""
    return None if content is None else json.loads(content.body)


def _json_lines(content: Content | None) -> list[str]:
    document = as_document(content)
    if document is None:
        return []
    return json.dumps(_without_ids(document), ensure_ascii=False, indent=2).splitlines()


def _without_ids(node: Any) -> Any:  # noqa: ANN401 - JSON
    """Replace the ids of buttons: they differ on each card, and mean nothing to a reader."""
    match node:
        case {"type": "callback", "value": value}:
            return {**node, "value": dict.fromkeys(value, PLACEHOLDER) if isinstance(value, dict) else value}
        case {"text": _, "value": str()}:  # an option of a select
            return {**node, "value": PLACEHOLDER}
        case dict():
            return {name: _without_ids(each) for name, each in node.items()}
        case list():
            return [_without_ids(each) for each in node]
        case _:
            return node


def to_json(card: ReplayedCard, comparison: CardComparison, *, with_json_diff: bool) -> dict[str, Any]:
    """Return one card for `--json`."""
    delivery = card.stored.delivery
    document: dict[str, Any] = {
        "before": as_document(card.before),
        "after": as_document(card.after),
        "diff": comparison.text_lines,
    }
    if with_json_diff:
        document["json_diff"] = comparison.json_diff
    return document | {
        "delivery": delivery.id,
        "state": delivery.state,
        "target": delivery.target,
        "receive_id": delivery.receive_id,
        "sent_at": format_iso(card.sent_at),
        "variant_before": card.stored.variant if card.before else None,
        "variant_after": card.after.variant if card.after else None,
        "fault": card.after.fault if card.after else None,
        "reason": card.obstacle or None,
        "corrected_by": card.correction.id if card.correction else None,
    }


def to_lines(
    card: ReplayedCard, comparison: CardComparison, *, with_json_diff: bool, zone: tzinfo
) -> list[str]:
    """Return one card for the terminal: its delivery, the notes, and the diffs."""
    delivery = card.stored.delivery
    sent = format_iso(card.sent_at)
    lines = [
        f"{label('delivery', '投递')}{delivery.id}, {delivery.state}{', ' + sent if sent else ''}",
        f"{label('to', '收件人')}{delivery.target} {delivery.receive_id}".rstrip(),
        *_notes(card),
    ]
    if card.after is None:
        return lines
    for name, diff in comparison.text_diffs:
        lines += ["", *diff] if diff else ["", *_unchanged(card, name, zone)]
    if with_json_diff:
        unchanged = [localized("JSON: no difference.", "JSON：没有差异。")]
        lines += ["", *(comparison.json_diff or unchanged)]
    elif comparison.json_diff and not comparison.text_lines:
        lines += [
            "",
            localized(
                "The texts are equal, but the JSON differs; --json-diff shows it.",
                "文字相同，但 JSON 有差异；用 --json-diff 查看。",
            ),
        ]
    return lines


def _unchanged(card: ReplayedCard, name: str, zone: tzinfo) -> list[str]:
    language = next(code for code, each in LANGUAGES.items() if each == name)
    return [
        localized(f"{name}: no difference", f"{name}：没有差异"),
        *(f" {line}" for line in read_lines(card.after, language, zone)),
    ]


def _notes(card: ReplayedCard) -> list[str]:
    stored, notes = card.stored, []
    if card.obstacle:
        notes.append(card.obstacle)
    if card.before is None and not card.obstacle:
        is_unsent = stored.delivery.first_tried_at is None
        notes.append(
            localized("It has not been rendered yet.", "尚未生成内容。")
            if is_unsent
            else localized(
                "What was sent is no longer stored (retention.deliveries_days).",
                "当时发送的内容已不再保存（retention.deliveries_days）。",
            )
        )
    if stored.degraded_reason:
        notes.append(
            localized(
                f"It was sent in the variant {stored.variant}, because {stored.degraded_reason}",
                f"当时以 {stored.variant} 版本发送，原因：{stored.degraded_reason}",
            )
        )
    if stored.delivery.reroute_reason:
        notes.append(localized("Rerouted: ", "改发：") + stored.delivery.reroute_reason)
    if stored.replaced_by is not None:
        notes.append(
            localized(
                f"It did not arrive. Delivery {stored.replaced_by} went to the fallback group instead.",
                f"未送达，投递 {stored.replaced_by} 已改发到兜底群。",
            )
        )
    if card.after is not None and card.after.fault:
        notes.append(
            localized(
                f"Today's templates cannot render the full card: {card.after.fault}",
                f"现在的模板无法生成完整版卡片：{card.after.fault}",
            )
        )
    if card.correction is not None:
        notes.append(
            localized(
                f"Delivery {card.correction.id} ({card.correction.state}) already replaces this card.",
                f"投递 {card.correction.id}（{card.correction.state}）已更正该卡片。",
            )
        )
    return [label("note", "说明") + note for note in notes]
