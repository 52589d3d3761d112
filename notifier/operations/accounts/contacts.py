"""Contact data of one person: checked, in one form, and as a keyed hash. They are used for calls and never stored."""

import hashlib
import hmac
import re
import unicodedata
from dataclasses import dataclass, field

from notifier.domain.card import Bilingual
from notifier.domain.contact_data import HIDDEN

LONGEST_EMAIL = 254
CHINA = "86"
TWO_DIGIT_CODES = frozenset(
    {
        "20",
        "27",
        "30",
        "31",
        "32",
        "33",
        "34",
        "36",
        "39",
        "40",
        "41",
        "43",
        "44",
        "45",
        "46",
        "47",
        "48",
        "49",
        "51",
        "52",
        "53",
        "54",
        "55",
        "56",
        "57",
        "58",
        "60",
        "61",
        "62",
        "63",
        "64",
        "65",
        "66",
        "81",
        "82",
        "84",
        "86",
        "90",
        "91",
        "92",
        "93",
        "94",
        "95",
        "98",
    }
)
"""Country codes with two digits. 1 and 7 have one; all others have three. Source: ITU-T E.164."""

_EMAIL = re.compile(r"[^\s@,;<>\"]+@[^\s@,;<>\"]+\.[^\s@,;<>\".]+")
_SCIENTIFIC = re.compile(r"[+-]?\d+(?:[.,]\d+)?[eE][+-]?\d+")
_DECIMAL = re.compile(r"\d{5,}[.,]\d+")
_SEPARATORS = re.compile(r"[\s().\-‐‑‒–—·/]+")
_CHINESE_MOBILE = re.compile(r"1[3-9]\d{9}")


class BadContactError(ValueError):
    """An e-mail address or a number that cannot be used. text: why, and what to do; it never contains the value."""

    def __init__(self, text: Bilingual) -> None:
        super().__init__(text.en)
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class Mobile:
    """A mobile number. code: country code without +. number: the rest, digits only."""

    code: str
    number: str = field(repr=False)

    @property
    def with_plus(self) -> str:
        """The number as Feishu searches for it."""
        return f"+{self.code}{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """How to find one person at Feishu; at least one of the two is set."""

    email: str | None = field(default=None, repr=False)
    """As written, without white space around it."""
    mobile: Mobile | None = field(default=None, repr=False)

    def identities(self) -> frozenset[str]:
        """One canonical text for each of the two: equal texts mean the same person."""
        keys = set()
        if self.email is not None:
            keys.add(f"email:{self.email.lower()}")
        if self.mobile is not None:
            keys.add(f"mobile:{self.mobile.with_plus}")
        return frozenset(keys)


def fingerprints_of(contact: Contact, app_secret: str) -> frozenset[str]:
    """Return a keyed hash for the e-mail address and for the mobile number.

    The key comes from the app's secret, so nobody without it can find a person's number by trying all numbers.
    """
    key = hmac.new(app_secret.encode(), b"notifier: registrations", hashlib.sha256).digest()
    return frozenset(
        hmac.new(key, each.encode(), hashlib.sha256).hexdigest() for each in contact.identities()
    )


def read_email(text: str) -> str | None:
    """Return the e-mail address without white space around it; None for an empty text. Raises BadContactError."""
    text = _clean(text)
    if text.lower().startswith("mailto:"):
        text = text[7:].strip()
    if not text:
        return None
    if re.search(r"\s", text):
        raise _bad("邮箱中间有空格：请去掉空格", "the e-mail address has a space in it: remove the space")
    if "@" not in text:
        raise _bad("邮箱缺少 @：请填写完整邮箱", "the e-mail address has no @: write the whole address")
    if len(text) > LONGEST_EMAIL or not text.isascii() or not _EMAIL.fullmatch(text):
        raise _bad(
            "这不是一个邮箱：每格只填一个完整邮箱",
            "this is not one e-mail address: write one whole address in a cell",
        )
    return text


def read_mobile(text: str) -> Mobile | None:
    """Return the mobile number; None for an empty text. Raises BadContactError.

    A number without + or 00 is a Chinese one.
    """
    text = _clean(text)
    if not text:
        return None
    if text.startswith(("=", "'")) or '"' in text:
        raise _mangled("公式或引号", "a formula or a quote")
    if _SCIENTIFIC.fullmatch(text):
        raise _mangled(
            "科学计数（如 1.39E+10），末几位已丢失",
            "scientific notation, such as 1.39E+10, without its last digits",
        )
    if _DECIMAL.fullmatch(text):
        raise _mangled("小数（如 13900000000.0）", "a decimal number, such as 13900000000.0")
    digits = _SEPARATORS.sub("", text)
    is_international = digits.startswith(("+", "00"))
    digits = digits.removeprefix("+") if digits.startswith("+") else digits.removeprefix("00")
    if not (digits.isascii() and digits.isdigit()):
        raise _bad(
            "手机号里有数字以外的字符：请改为纯数字",
            "the mobile number has other characters than digits: write digits only",
        )
    if is_international:
        return _split_international(digits)
    if _CHINESE_MOBILE.fullmatch(digits.removeprefix(CHINA) if len(digits) == 13 else digits):
        return Mobile(code=CHINA, number=digits[-11:])
    raise _bad(
        "不是 11 位中国大陆手机号，可能丢了开头的 0 或 +：其他国家和地区请写 +区号，并把该列设为文本",
        "this is not a Chinese mobile number of 11 digits; a 0 or + at its beginning may be lost. Write other "
        "countries with + and the country code, and format the column as text",
    )


def _split_international(digits: str) -> Mobile:
    length = 1 if digits[:1] in ("1", "7") else 2 if digits[:2] in TWO_DIGIT_CODES else 3
    code, number = digits[:length], digits[length:]
    if digits.startswith("0") or not 5 <= len(number) <= 15 - length:
        raise _bad(
            "国际号码的位数或区号不对：请写 +区号 和完整号码",
            "the country code or the length of this number is wrong: write + with the country code and the whole "
            "number",
        )
    if code == CHINA and not _CHINESE_MOBILE.fullmatch(number):
        raise _bad(
            "+86 后面不是 11 位手机号：请核对",
            "the number after +86 is not a mobile number of 11 digits: check it",
        )
    return Mobile(code=code, number=number)


def _clean(text: str) -> str:
    return HIDDEN.sub("", unicodedata.normalize("NFKC", text)).strip()


def _mangled(zh: str, en: str) -> BadContactError:
    return _bad(
        f"Excel 把手机号变成了{zh}：请把该列设为文本后重新填写",
        f"Excel changed the mobile number into {en}: format the column as text and write the number again",
    )


def _bad(zh: str, en: str) -> BadContactError:
    return BadContactError(Bilingual(zh=zh, en=en))
