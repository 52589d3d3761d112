"""Marks a card as a test, and takes the effect from everything on it that calls the app."""

from collections.abc import Mapping
from typing import Any

MARK = "测试 / Test"
MAX_HEADER_TAGS = 3
_ANSWERING = frozenset(
    {
        *("button", "input", "checker", "interactive_container", "select_static", "multi_select_static"),
        *(
            "select_person",
            "multi_select_person",
            "select_img",
            "date_picker",
            "picker_time",
            "picker_datetime",
        ),
    }
)
"""Components that call the app, and that can be disabled."""


def mark_as_test(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy with a mark in its header, or above its body, and without a button that calls the app.

    Buttons that only open an address stay as they are.
    """
    marked: dict[str, Any] = _without_calls(card)
    header = marked.get("header")
    if isinstance(header, dict):
        tag = {"tag": "text_tag", "text": {"tag": "plain_text", "content": MARK}, "color": "red"}
        _put_first(header, tag)
    else:
        body = marked.get("body")
        body = marked["body"] = dict(body) if isinstance(body, dict) else {}
        elements = body.get("elements")
        note = {"tag": "markdown", "content": f"<font color='red'>{MARK}</font>"}
        body["elements"] = [note, *(elements if isinstance(elements, list) else [])]
    return marked


def _put_first(header: dict[str, Any], tag: dict[str, Any]) -> None:
    """Feishu shows three tags at most, so the last one makes room."""
    by_language = header.get("i18n_text_tag_list")
    if isinstance(by_language, dict):
        header["i18n_text_tag_list"] = {
            language: [tag, *(tags if isinstance(tags, list) else [])][:MAX_HEADER_TAGS]
            for language, tags in by_language.items()
        }
    tags = header.get("text_tag_list")
    if isinstance(tags, list) or not isinstance(by_language, dict):
        header["text_tag_list"] = [tag, *(tags if isinstance(tags, list) else [])][:MAX_HEADER_TAGS]


def _without_calls(node: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(node, list):
        return [_without_calls(each) for each in node if not _is_overflow(each)]
    if not isinstance(node, Mapping):
        return node
    kept = {name: _without_calls(value) for name, value in node.items()}
    if kept.get("tag") not in _ANSWERING:
        return kept
    behaviors = kept.pop("behaviors", None)
    opening = [
        each
        for each in (behaviors if isinstance(behaviors, list) else [])
        if isinstance(each, dict) and each.get("type") == "open_url"
    ]
    if opening:
        kept["behaviors"] = opening
    kept.pop("value", None)
    is_harmless = bool(opening) and "form_action_type" not in kept
    return kept if is_harmless else {**kept, "disabled": True}


def _is_overflow(node: object) -> bool:
    """A menu calls the app and cannot be disabled, so it is left out."""
    return isinstance(node, Mapping) and node.get("tag") == "overflow"
