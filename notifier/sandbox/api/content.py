"""Checks of a message's content: JSON in a string, whose shape depends on the type of the message."""

from dataclasses import dataclass
from typing import NoReturn

from notifier.sandbox.cards.values import LANGUAGES
from notifier.sandbox.error_codes import (
    JsonObject,
    RefusedError,
    bad_field,
    optional_text,
    parse_json,
    text_field,
)
from notifier.sandbox.tenant import Tenant

_MSG_TYPES = "text post image file audio media sticker interactive share_chat share_user system"
MSG_TYPES = tuple(_MSG_TYPES.split())
TEXT_BYTES, CARD_BYTES, UUID_CHARS = 150 * 1024, 30 * 1024, 50
MAX_JSON_DEPTH = 200  # our own limit, below the recursion limit of the JSON parser
_NEEDED = {
    "text": "text",
    "image": "image_key",
    "file": "file_key",
    "audio": "file_key",
    "media": "file_key",
    "sticker": "file_key",
    "share_chat": "chat_id",
    "share_user": "user_id",
    "system": "type",
}
"""The member that the content of each type needs. Cards and posts have checks of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The content of a message after the checks of its form. content: the parsed `content_text`."""

    msg_type: str
    content_text: str
    content: JsonObject
    uuid: str | None


def read_draft(body: JsonObject) -> Draft:
    """Checks type, content (JSON in a string), size and uuid of a message. Raises RefusedError."""
    msg_type = text_field(body, "msg_type")
    content_text = text_field(body, "content")
    uuid = optional_text(body, "uuid") or None
    if msg_type not in MSG_TYPES:
        raise bad_field("msg_type", f"must be one of {', '.join(MSG_TYPES)}", msg_type)
    if uuid is not None and len(uuid) > UUID_CHARS:
        raise bad_field("uuid", f"at most {UUID_CHARS} characters", uuid)
    content = parse_content(content_text)
    check_size(msg_type, content_text)
    if msg_type == "post":
        _check_post(content)
    needed = _NEEDED.get(msg_type)
    if needed is not None and needed not in content:
        raise RefusedError(230001, f'ext={msg_type} content needs "{needed}"')
    if msg_type == "text" and not isinstance(content["text"], str):
        raise RefusedError(230001, 'ext=text content must be {"text": "..."}')
    return Draft(msg_type=msg_type, content_text=content_text, content=content, uuid=uuid)


def check_resources(msg_type: str, content: JsonObject, tenant: Tenant) -> None:
    """Raises RefusedError for a file or an image that the app has not uploaded."""
    if msg_type in ("file", "audio", "media") and str(content.get("file_key")) not in tenant.files:
        raise RefusedError(230017)
    images = [content.get("image_key")] if msg_type == "image" else []
    if msg_type == "post":
        images = [node.get("image_key") for node in _post_nodes(content) if node.get("tag") == "img"]
    if any(str(key) not in tenant.images for key in images):
        raise RefusedError(230017)


def parse_content(content_text: str) -> JsonObject:
    """The content as an object. Raises RefusedError for anything else, also for NaN and Infinity."""
    try:
        content = parse_json(content_text, parse_constant=_refuse_constant)
    except ValueError as error:
        raise RefusedError(230001, f"ext=content is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise RefusedError(230001, "ext=content must be a JSON object in a string")
    if _json_depth(content) > MAX_JSON_DEPTH:
        raise RefusedError(230001, "ext=content is nested too deeply")
    return content


def check_size(msg_type: str, content_text: str) -> None:
    """Raises RefusedError for a card or post above 30 KB, and for anything else above 150 KB."""
    limit = CARD_BYTES if msg_type in ("interactive", "post") else TEXT_BYTES
    if len(content_text.encode()) > limit:
        raise RefusedError(230025, f"ext=more than {limit} bytes")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _check_post(content: JsonObject) -> None:
    """A post has at least one language, each with `content`: paragraphs, which are lists of nodes with a tag."""
    if not content:
        raise RefusedError(230001, "ext=post content is empty")
    for language, post in content.items():
        if language not in LANGUAGES or not isinstance(post, dict) or not _is_paragraphs(post.get("content")):
            raise RefusedError(
                230001, f'ext=post content must be {{"zh_cn": {{"content": [[...]]}}}}, at {language}'
            )


def _is_paragraphs(content: object) -> bool:
    return isinstance(content, list) and all(
        isinstance(paragraph, list) and all(isinstance(node, dict) and "tag" in node for node in paragraph)
        for paragraph in content
    )


def _post_nodes(content: JsonObject) -> list[JsonObject]:
    """All nodes of a post that passed its check."""
    return [
        node
        for post in content.values()
        if isinstance(post, dict)
        for paragraph in post["content"]
        for node in paragraph
    ]


def _json_depth(content: object) -> int:
    """The nesting depth, computed without recursion."""
    levels, level = 0, [content]
    while level:
        levels += 1
        insides = [
            item.values() if isinstance(item, dict) else item
            for item in level
            if isinstance(item, dict | list)
        ]
        level = [item for inside in insides for item in inside]
    return levels
