"""Checks of plain text, `lark_md` and Markdown, with mentions, images and tables."""

import re

from notifier.sandbox.cards.checker import BAD_IMAGE, BAD_PERSON, OVER_LIMIT, CardChecker, Check, as_text
from notifier.sandbox.cards.values import (
    by_language,
    by_tag,
    colour,
    element_id,
    integer,
    list_of,
    margin,
    one_of,
    shape,
    text,
    text_size,
)

_AT = re.compile(r"<at\s+(id|ids|email|user_id)\s*=\s*(['\"]?)([^'\"<>\s]*)\2[^<>]*>", re.IGNORECASE)
_PERSON = re.compile(r"<person\s[^<>]*?\bid\s*=\s*(['\"]?)([^'\"<>\s]*)\1[^<>]*>", re.IGNORECASE)
_IMAGE = re.compile(r"!\[[^\[\]]*\]\(([^)\s]*)\)")
_TABLE_RULE = frozenset("|:- \t")
TABLES_PER_MARKDOWN = 4


def _markdown(checker: CardChecker, value: object) -> None:
    """Content of `markdown` components."""
    _small_markdown(checker, value)
    tables = _tables(str(value))
    if tables > TABLES_PER_MARKDOWN:
        raise checker.refuse(OVER_LIMIT, "card table number over limit", tables)
    checker.count_tables(tables)


def _tables(content: str) -> int:
    """The number of Markdown tables: a line with | followed by a line of - and |."""
    lines = content.splitlines()
    rules = [set(line) <= _TABLE_RULE and {"-", "|"} <= set(line) for line in lines]
    return sum(is_rule and "|" in above for above, is_rule in zip(lines, rules[1:], strict=False))


def _small_markdown(checker: CardChecker, value: object) -> None:
    content = as_text(checker, value)
    for kind, _, named in _AT.findall(content):
        for one in named.split(","):
            _check_mention(checker, kind.lower(), one)
    for _, named in _PERSON.findall(content):
        checker.check_person(named)
    for key in _IMAGE.findall(content):
        image_key(checker, key)


def _check_mention(checker: CardChecker, kind: str, named: str) -> None:
    if kind == "email":
        return  # Feishu shows an unknown address unchanged
    if named == "all":
        if not checker.settings.may_mention_all:
            raise checker.refuse(BAD_PERSON, "the bot may not mention all", named)
    else:
        checker.check_person(named)


def image_key(checker: CardChecker, value: object) -> None:
    """Refuses the key of an image that the app has not uploaded."""
    if as_text(checker, value) not in checker.known_images:
        raise checker.refuse(BAD_IMAGE, "image key is invalid", value)


def _plain(maximum: int | None = None) -> Check:
    required = {"tag": one_of("plain_text"), "content": text(maximum)}
    return shape(required, {"i18n_content": by_language(text(maximum)), "element_id": element_id})


def plain_text(maximum: int | None = None) -> Check:
    """The check of a text object without Markdown. maximum: characters."""
    return by_tag({"plain_text": _plain(maximum)})


_LARK_MD = shape(
    {"tag": one_of("lark_md"), "content": _small_markdown},
    {"i18n_content": by_language(_small_markdown), "element_id": element_id},
)
title_text = by_tag({"plain_text": _plain(), "lark_md": _LARK_MD})
panel_title_text = by_tag(
    {
        "plain_text": _plain(),
        "lark_md": _LARK_MD,
        "markdown": shape(
            {"tag": one_of("markdown"), "content": _small_markdown},
            {"i18n_content": by_language(_small_markdown), "element_id": element_id},
        ),
    }
)

_align = one_of("left", "center", "right")
_size_and_place = {
    "element_id": element_id,
    "text_size": text_size,
    "text_align": _align,
    "lines": integer(1, 999),
}
div_text = by_tag(
    {
        "plain_text": shape(
            {"tag": one_of("plain_text"), "content": text()},
            {"i18n_content": by_language(text()), "text_color": colour, **_size_and_place},
        ),
        "lark_md": shape(
            {"tag": one_of("lark_md"), "content": _small_markdown},
            {"i18n_content": by_language(_small_markdown), **_size_and_place},
        ),
    }
)

_icon_size = text(20, minimum=1)
icon = by_tag(
    {
        "standard_icon": shape(
            {"tag": one_of("standard_icon"), "token": text(minimum=1)}, {"color": colour, "size": _icon_size}
        ),
        "custom_icon": shape({"tag": one_of("custom_icon"), "img_key": image_key}, {"size": _icon_size}),
    }
)

markdown = shape(
    {"tag": one_of("markdown"), "content": _markdown},
    {
        "i18n_content": by_language(_small_markdown),
        "text_size": text_size,
        "text_align": _align,
        "icon": icon,
        "element_id": element_id,
        "margin": margin,
    },
)

text_tags = list_of(
    by_tag(
        {
            "text_tag": shape(
                {"tag": one_of("text_tag"), "text": plain_text()}, {"element_id": element_id, "color": colour}
            )
        }
    ),
    maximum=3,
)
