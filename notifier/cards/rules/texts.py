"""What visible text may not hold: contact data, a mention of everybody, links that Feishu refuses."""

import html
import re
from collections.abc import Mapping
from itertools import pairwise

from notifier.cards.rules.values import anything, by_language, element_id
from notifier.cards.rules.walk import CardWalk, Check, Shape, wrong_type
from notifier.domain.contact_data import find_contact_data

PHONE_LINK = "tel://"  # in Markdown, and only on phones
NO_LINK_HERE = "lark://msgcard/unsupported_action"  # switches a link off on one client

_TAG = re.compile(r"</?(?:at|person|local_datetime|font|a|link|text_tag|number_tag|br)\b[^<>]*>")
_AT = re.compile(r"<at\b([^<>]*)")
_EVERYBODY = re.compile(
    r"\b(?:id|ids|user_id) {0,3}= {0,3}[\"']?(?:[^\"'\s,]{1,64},){0,20}all\b", re.IGNORECASE
)
CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
_MARKDOWN_LINK = re.compile(r"(!?)\[[^\[\]\n]{0,2000}\]\( {0,9}<?([^()\s<>]*)")
_LINK_TAG = re.compile(r"<(?:a|link|number_tag|local_datetime)\b([^<>]*)")
_LINK_ATTRIBUTE = re.compile(
    r"\b(?:href|link|url|pc_url|ios_url|android_url) {0,3}= {0,3}(?:'([^']*)'|\"([^\"]*)\"|([^\s'\"/]\S*))"
)
_WEB_LINK = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)
_TABLE_RULE = re.compile(r" {0,3}\|?(?: *:?-+:? *\|)* *:?-+:? *\|? *")


def visible_text(markdown: str) -> str:
    """Markdown as a reader sees its characters: without tags and their attributes, entities resolved."""
    bare = _TAG.sub("", markdown) if "<" in markdown else markdown
    return html.unescape(bare)


def mentions_everybody(markdown: str) -> bool:
    """Whether the Markdown mentions everybody in the chat."""
    return any(_EVERYBODY.search(found[1]) for found in _AT.finditer(markdown))


def is_web_link(link: str) -> bool:
    """Whether the link starts with http:// or https:// and names a host."""
    return _WEB_LINK.fullmatch(link) is not None


def refused_link(markdown: str) -> str | None:
    """The first link in Markdown that is not http(s), a phone number or switched off, or None; code is no link."""
    bare = CODE.sub("", markdown) if "`" in markdown else markdown
    written = _MARKDOWN_LINK.finditer(bare) if "](" in bare else ()
    links = [html.unescape(found[2]) for found in written if not found[1]]
    for tag in _LINK_TAG.finditer(bare):
        links += [html.unescape("".join(parts)) for parts in _LINK_ATTRIBUTE.findall(tag[1])]
    return next((link for link in links if link and not _is_accepted(link)), None)


def _is_accepted(link: str) -> bool:
    return link == NO_LINK_HERE or is_web_link(link) or link.startswith(PHONE_LINK)


def markdown_tables(markdown: str) -> int:
    """How many tables a Markdown text holds: a row of dashes under a row with a bar, outside code."""
    if "|" not in markdown:
        return 0
    lines = CODE.sub("", markdown).splitlines()
    return sum("|" in above and _is_table_rule(below) for above, below in pairwise(lines))


def _is_table_rule(line: str) -> bool:
    return "|" in line and _TABLE_RULE.fullmatch(line) is not None


def no_contact_data(walk: CardWalk, text: str) -> None:
    """Text without e-mail addresses and phone numbers."""
    kind = find_contact_data(text)
    if kind is not None:
        walk.add_problem(
            "contact-data",
            f"The text holds {kind}, which Feishu's data-leak audit may refuse; show a person instead.",
        )


def unformatted_text(max_length: int | None = None) -> Check:
    """Text that is shown as it is, up to a number of characters."""

    def check(walk: CardWalk, value: object) -> None:
        if not isinstance(value, str):
            wrong_type(walk, "a string", value)
            return
        if max_length is not None and len(value) > max_length:
            walk.add_problem(
                "text-limit", f"This text may have at most {max_length} characters, not {len(value)}."
            )
        no_contact_data(walk, value)

    return check


def markdown_text(walk: CardWalk, value: object) -> None:
    """Text in Markdown, in the full or the lark_md dialect."""
    if not isinstance(value, str):
        wrong_type(walk, "a string", value)
        return
    no_contact_data(walk, visible_text(value))
    if mentions_everybody(value):
        walk.add_problem(
            "mention-all",
            "A mention of everybody makes the send fail where the bot may not; leave it out.",
        )
    if refused_link(value) is not None:
        walk.add_problem(
            "bad-url", "A link in this text does not start with http:// or https://, as Feishu demands."
        )


def text_shape(tag: str, content: Check, style: Mapping[str, Check]) -> Shape:
    """A text object: its tag, its content, and the same content in other languages."""
    return Shape(
        name=f"A {tag} text",
        attributes={
            "tag": anything,
            "content": content,
            "i18n_content": by_language(content),
            "element_id": element_id,
            **style,
        },
        required=("content",),
        deprecated={"i18n": "use i18n_content", "text": "use content"},
    )


def web_link(walk: CardWalk, value: object) -> None:
    """A link that starts with http:// or https://."""
    if not isinstance(value, str):
        wrong_type(walk, "a link", value)
    elif not is_web_link(value):
        walk.add_problem("bad-url", "A link must start with http:// or https:// and name a host.")


def client_link(walk: CardWalk, value: object) -> None:
    """A web link, "" for the address of the other clients, or the one address that switches a link off on a client."""
    if value not in ("", NO_LINK_HERE):
        web_link(walk, value)
