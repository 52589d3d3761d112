"""Finds plain phone numbers and e-mail addresses in a message, like the content audit of a Feishu tenant."""

import re
from collections.abc import Iterator

EMAIL = re.compile(r"(?<![A-Za-z0-9_.+-])[A-Za-z0-9_.+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
PHONE = re.compile(r"(?<![\w.+-])(?:1[3-9]\d{9}|1[3-9]\d[ -]\d{4}[ -]\d{4}|\+\d{1,3}[ -]?\d{7,12})(?![\w-])")
_TAG = re.compile(r"<(?:at|person)\b[^<>]*>")
_NOT_TEXT = "value behaviors element_id user_id img_key file_key token uuid url pc_url ios_url android_url"
NOT_TEXT = frozenset(_NOT_TEXT.split())


def find_leak(content: object) -> str | None:
    """The first leak: "e-mail address" or "phone number"; None without one. Checks visible text, not ids."""
    for text in _texts(content):
        seen = _TAG.sub(" ", text)
        if EMAIL.search(seen):
            return "e-mail address"
        if PHONE.search(seen):
            return "phone number"
    return None


def _texts(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for item in content:
            yield from _texts(item)
    elif isinstance(content, dict):
        for name, item in content.items():
            if name not in NOT_TEXT:
                yield from _texts(item)
