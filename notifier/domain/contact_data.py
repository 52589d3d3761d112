"""What a text from outside may contain: hidden characters, and contact data, for which Feishu may refuse a message."""

import re

HIDDEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # controls that are no white space
    "\u00ad\u034f\u061c\u180e"  # soft hyphen, grapheme joiner, Arabic mark, Mongolian separator
    "\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"  # zero width, bidirectional marks and overrides
    "\ufff9-\ufffb"  # interlinear annotations
    "\u115f\u1160\u2800\u3164\uffa0"  # invisible, although Unicode counts these as letters or signs
    "\ud800-\udfff"  # halves of a character
    "\U000e0000-\U000e007f]"  # tags
)
"""What is invisible, or can hide or turn other text. The list is explicit: a character that this Python's tables do not
know yet, or that is in private use, stays in a name.
"""

_NOT_INSIDE = r"(?<![0-9A-Za-z_.,+¥￥$€£])(?<![0-9A-Za-z]-)"
_NOT_MONEY = r"(?<!(?:CNY|USD|EUR|GBP|JPY|KRW|HKD|TWD|SGD|INR|IDR|VND|THB)[ \u00a0])"
_NOT_FOLLOWED = r"(?![0-9A-Za-z_]|[.,][0-9]| ?(?:元|积分|分|点))"
_PHONE = re.compile(
    rf"{_NOT_INSIDE}{_NOT_MONEY}"
    r"(?:(?:\+|00)?86[ -]?)?1[3-9][0-9](?:[0-9]{8}|[ -][0-9]{4}[ -][0-9]{4})"  # Chinese mobile
    rf"{_NOT_FOLLOWED}"
    rf"|{_NOT_INSIDE}0[1-9][0-9]{{1,2}}-[0-9]{{7,8}}{_NOT_FOLLOWED}"  # Chinese landline with its area code
    r"|(?<![0-9A-Za-z_.,])\+[1-9](?:[ -]?[0-9]){9,14}"
    + _NOT_FOLLOWED,  # any country: a plus and at least ten digits
)
_PHONE_START = re.compile(r"1[3-9][0-9]|0[1-9][0-9]|\+[1-9]")
"""Every phone number has one of these, most texts have none. The search takes a fifth of that for the whole pattern."""
_SHORTEST_PHONE = 11
_EMAIL = re.compile(r"[A-Za-z0-9_%+-]@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}")


def one_line(text: str) -> str:
    """Return the text as one line without hidden characters. Equal texts stay equal."""
    return " ".join(HIDDEN.sub(" ", text).split())


def find_contact_data(text: str) -> str | None:
    """What kind of contact data stands in the text, or None.

    Money with separators or a currency, ids of other lengths than a phone number and dates are none.
    Feishu's data-leak audit refuses such messages (code 230028).
    """
    if "@" in text and _EMAIL.search(text):
        return "an e-mail address"
    may_be_phone = len(text) >= _SHORTEST_PHONE and _PHONE_START.search(text)
    return "a phone number" if may_be_phone and _PHONE.search(text) else None
