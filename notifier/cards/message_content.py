"""Finds the card in what people store and send: card JSON, the content of a message, an export of the card builder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from notifier.cards.rules.walk import FoundProblem, Path


class DocumentKind(Enum):
    """What a JSON document is."""

    CARD = auto()
    """A card."""
    TEMPLATE_REFERENCE = auto()
    """The id of a template in the card builder, with its variables."""
    ENTITY_REFERENCE = auto()
    """The id of a CardKit entity."""
    BUILDER_EXPORT = auto()
    """A template of the card builder. Its values may be variables such as ${name}."""
    OTHER_MESSAGE = auto()
    """A message that is no card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardDocument:
    """A JSON document and the card in it."""

    kind: DocumentKind
    """What the document is."""
    card: object
    """The card, or for a reference the object with `type` and `data`, or with `template_id`."""
    path: Path
    """Where the card is in the document."""
    text: str | None = None
    """The card's own JSON text, if the document holds it as a string."""


def find_card(document: object) -> CardDocument:
    """Find the card in a parsed document. A document without a known frame is taken as a card.

    Frames: `{"msg_type": "interactive", "card": …}` and the same with `content` (an object or a string),
    `{"type": "template", "data": …}`, `{"type": "raw", "data": …}`, the answer to a callback `{"card": …}`, and the
    export of the card builder `{"name": …, "dsl": …}`. A reference in `cards.template_dir` has no frame:
    `{"template_id": …, "template_version_name": …, "variables": …}`.

    Raises json.JSONDecodeError for a string that is not JSON.
    """
    path: Path = ()
    text: str | None = None
    kind = DocumentKind.CARD
    node = document
    if isinstance(node, dict) and node.get("msg_type", "interactive") != "interactive":
        return CardDocument(kind=DocumentKind.OTHER_MESSAGE, card=node, path=())
    while isinstance(node, dict) and not ("schema" in node or "body" in node):
        if node.get("type") in ("template", "card") and isinstance(node.get("data"), dict):
            is_template = node["type"] == "template"
            kind = DocumentKind.TEMPLATE_REFERENCE if is_template else DocumentKind.ENTITY_REFERENCE
            break
        if "template_id" in node:
            kind = DocumentKind.TEMPLATE_REFERENCE
            break
        key = _frame_key(node)
        if key is None:
            break
        if key == "dsl":
            kind = DocumentKind.BUILDER_EXPORT
        inner = node[key]
        if isinstance(inner, str):
            if text is not None:
                break  # a string inside a string has no position
            text, inner = inner, json.loads(inner)
            path = (*path, key)
        elif text is None:
            path = (*path, key)
        node = inner
    return CardDocument(kind=kind, card=node, path=path, text=text)


def _frame_key(node: Mapping[str, object]) -> str | None:
    """The key under which a frame has its card, or None if the object is no frame."""
    is_message = node.get("msg_type") == "interactive"
    if is_message and isinstance(node.get("content"), dict | str):
        return "content"
    if isinstance(node.get("card"), dict) or (is_message and isinstance(node.get("card"), str)):
        return "card"
    if isinstance(node.get("dsl"), dict | str):
        return "dsl"
    return "data" if node.get("type") == "raw" and isinstance(node.get("data"), dict) else None


def reference_problems(document: CardDocument) -> list[FoundProblem]:
    """Return the findings of a message without a card: a template or entity reference, or another message."""
    reference = document.card
    if document.kind is DocumentKind.OTHER_MESSAGE:
        return [
            _problem(
                ("msg_type",), "wrong-value", "This message is no card: its msg_type is not interactive."
            )
        ]
    is_bare = isinstance(reference, dict) and "template_id" in reference
    inside: Path = () if is_bare else ("data",)
    data = reference if is_bare or not isinstance(reference, dict) else reference.get("data")
    data = data if isinstance(data, dict) else {}
    key = "template_id" if document.kind is DocumentKind.TEMPLATE_REFERENCE else "card_id"
    found = []
    if not isinstance(data.get(key), str) or not data[key]:
        found.append(_problem((*inside, key), "missing-attribute", f"The reference needs {key}."))
    if document.kind is DocumentKind.TEMPLATE_REFERENCE and not data.get("template_version_name"):
        message = "The message does not pin a version of the template."
        found.append(_problem((*inside, "template_version_name"), "template-version", message))
    return found


def _problem(path: Path, rule: str, message: str) -> FoundProblem:
    return FoundProblem(path=path, rule=rule, message=message)
