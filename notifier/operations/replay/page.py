"""The cards of a replay on the preview page: what was sent then beside what would be sent now."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from notifier.cards import lint
from notifier.domain.delivery import Content
from notifier.errors import ConfigError
from notifier.operations.language import localized
from notifier.operations.preview.result import PreviewChoice, PreviewError, RenderedPreview
from notifier.operations.preview.variables import list_shown_people
from notifier.operations.replay.comparison import as_document
from notifier.operations.replay.replay import Replay


class ReplayPreview:
    """Shows each card of a replay as a choice of the page."""

    def __init__(self, found: Replay) -> None:
        """found: with at least one card."""
        self._cards = {f"delivery {card.stored.delivery.id}": (card, more) for card, more in found.cards}

    def list_choices(self) -> list[dict[str, Any]]:
        """List the deliveries; empty if there is only one."""
        names = list(self._cards) if len(self._cards) > 1 else []
        return [{"template": name, "samples": [], "source": ""} for name in names]

    def render(self, choice: PreviewChoice) -> RenderedPreview:
        """Return both cards, with the differences of their texts as data. Raises ConfigError for another name."""
        name = choice.template or next(iter(self._cards))
        if name not in self._cards:
            raise ConfigError(
                f"there is no {name} in this replay; there are: {', '.join(self._cards)}",
                zh=f"没有 {name}；现有：{', '.join(self._cards)}",
            )
        card, differences = self._cards[name]
        before, after = _to_card(card.before), _to_card(card.after)
        error = None
        if card.after is None:
            error = PreviewError(message=card.obstacle, message_zh=card.obstacle)
        return RenderedPreview(
            title=localized(f"Replay of {name}", f"重新生成：{name}"),
            choice=PreviewChoice(template=name),
            before=before,
            card=after,
            data={"diff": differences.text_lines},
            people=list_shown_people([before, after]),
            findings=[each.as_json() for each in lint(after)] if after is not None else (),
            error=error,
        )

    def list_watched_files(self) -> list[Path]:
        """A replay is rendered once, so no file is watched."""
        return []


def _to_card(content: Content | None) -> Mapping[str, Any] | None:
    """Return the content as a card; a plain text as a card with this text."""
    document = as_document(content)
    if content is None or content.msg_type == "interactive":
        found: Mapping[str, Any] | None = document
        return found
    text = {"tag": "plain_text", "content": str(document.get("text", ""))}
    return {"schema": "2.0", "body": {"elements": [{"tag": "div", "text": text}]}}
