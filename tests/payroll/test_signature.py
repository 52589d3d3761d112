"""Signature: only what was signed with our secret, for these bytes, just now."""

import hashlib
import hmac

import pytest

from notifier.payroll.signature import TOLERANCE_SECONDS, sign, verify_signature

SECRET, AT, RAW = "an-example-secret", 1_700_000_000, b'{"order_id":"rn-1"}'
RIGHT = sign(SECRET, str(AT), RAW)


def read(
    *,
    secret: str = SECRET,
    timestamp: str | None = str(AT),
    signature: str | None = RIGHT,
    raw: bytes = RAW,
    now: float = AT,
) -> int | None:
    return verify_signature(secret, timestamp=timestamp, signature=signature, raw=raw, now_seconds=now)


def test_it_is_the_hmac_of_time_and_body() -> None:
    by_hand = hmac.new(b"an-example-secret", b"1700000000." + RAW, hashlib.sha256).hexdigest()

    assert f"v1={by_hand}" == RIGHT


@pytest.mark.parametrize("off", [-TOLERANCE_SECONDS, 0, TOLERANCE_SECONDS])
def test_what_is_rightly_and_freshly_signed_tells_its_time(off: int) -> None:
    assert AT == read(now=AT + off)


@pytest.mark.parametrize(
    "odd",
    ["0001700000000", "+1700000000", " 1700000000", "1700000000\n", "1_700_000_000", "１７００００００００"],
)
def test_another_spelling_of_the_time_is_refused_though_rightly_signed(odd: str) -> None:
    assert read(timestamp=odd, signature=sign(SECRET, odd, RAW)) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"now": AT + TOLERANCE_SECONDS + 1},
        {"now": AT - TOLERANCE_SECONDS - 1},
        {"raw": RAW + b" "},
        {"raw": b""},
        {"secret": "another-secret--"},
        {"secret": "", "signature": sign("", str(AT), RAW)},
        {"timestamp": str(AT + 1)},
        {"timestamp": None},
        {"timestamp": ""},
        {"timestamp": "1e9"},
        {"timestamp": "-1700000000"},
        {"timestamp": "１７００００００００"},
        {"timestamp": "9" * 13},
        {"signature": None},
        {"signature": ""},
        {"signature": RIGHT.removeprefix("v1=")},
        {"signature": RIGHT.upper()},
        {"signature": RIGHT + "0"},
        {"signature": "v1=\udcff\u00ff"},
        {"signature": "ü" * 67},
    ],
)
def test_whatever_else_is_not(wrong: dict[str, object]) -> None:
    assert read(**wrong) is None  # type: ignore[arg-type]
