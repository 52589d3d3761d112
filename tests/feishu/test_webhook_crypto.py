"""Event crypto: Feishu's own example, and everything that is not quite it."""

import base64
import hashlib
import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.feishu.webhook.crypto import DecryptionError, decrypt, equal_in_constant_time, is_signed
from notifier.sandbox.push.webhook import encrypt, signature_headers

KEY = "test key"
EXAMPLE = "P37w+VZImNgPEO1RBhJ6RtKl7n6zymIbEG1pReEzghk="
"""Of Feishu's page about the Encrypt Key; it says `hello world`."""


def test_feishus_example_is_read() -> None:
    assert b"hello world" == decrypt(KEY, EXAMPLE)


@given(st.binary(max_size=100), st.text(max_size=40))
def test_what_the_stand_in_encrypts_is_read(payload: bytes, key: str) -> None:
    key = key.encode(errors="replace").decode()
    assert payload == decrypt(key, encrypt(key, payload))


def sealed(blocks: bytes) -> str:
    """Encrypted as it is, padding and all."""
    whole = base64.b64decode(encrypt(KEY, blocks))
    return base64.b64encode(whole[:-16]).decode()


@pytest.mark.parametrize(
    "encrypted, said",
    [
        (None, "no text"),
        (7, "no text"),
        ({"a": 1}, "no text"),
        ("", "whole blocks"),
        ("not base64!", "not base64"),
        (EXAMPLE + "\n", "not base64"),
        (EXAMPLE[:-1], "not base64"),
        ("é" * 8, "not base64"),
        ("\ud800", "not base64"),
        (base64.b64encode(b"x" * 16).decode(), "whole blocks"),
        (base64.b64encode(b"x" * 47).decode(), "whole blocks"),
        (sealed(b"x" * 15 + b"\0"), "padding"),
        (sealed(b"x" * 15 + b"\x11"), "padding"),
        (sealed(b"x" * 15 + b"\xff"), "padding"),
        (sealed(b"x" * 13 + b"\2\3\3"), "padding"),
    ],
    ids=itertools.count(),  # what is sealed differs each time, and processes that share the tests must agree on names
)
def test_what_is_not_encrypted_as_documented_is_named_by_the_step(encrypted: object, said: str) -> None:
    with pytest.raises(DecryptionError, match=said):
        decrypt(KEY, encrypted)


@given(st.text(max_size=200))
def test_nothing_else_comes_of_any_text(text: str) -> None:
    try:
        decrypt(KEY, text)
    except DecryptionError as error:
        # The message never repeats the text. (Hypothesis also tries parts of our own sentences.)
        assert re.fullmatch(  # noqa: PT017 - what it says is the point
            r"it is no text|it is not base64|\d+ bytes are no whole blocks|its padding is wrong: another Encrypt Key\?",
            str(error),
        )


def test_the_signature_is_over_time_nonce_key_and_raw_body() -> None:
    raw = b'{"encrypt":"x"}'
    signature = hashlib.sha256(b"1700000000" + b"n-1" + b"test key" + raw).hexdigest()
    right = {"timestamp": "1700000000", "nonce": "n-1", "signature": signature, "raw": raw}

    assert is_signed(KEY, **right)  # type: ignore[arg-type]
    for name, wrong in [
        ("timestamp", "1700000001"),
        ("nonce", "n-2"),
        ("nonce", ""),
        ("signature", signature.upper()),
        ("signature", signature[:-1]),
        ("signature", ""),
        ("signature", "é\udcff"),
        ("raw", raw + b" "),
    ]:
        assert not is_signed(KEY, **{**right, name: wrong}), (name, wrong)  # type: ignore[arg-type]
    assert not is_signed("another key", **right)  # type: ignore[arg-type]


@given(st.binary(max_size=100), st.integers(0, 10**10))
def test_what_the_stand_in_signs_holds(raw: bytes, now: int) -> None:
    headers = signature_headers(KEY, raw, seconds_now=now)
    signed = {
        "timestamp": headers["X-Lark-Request-Timestamp"],
        "nonce": headers["X-Lark-Request-Nonce"],
        "signature": headers["X-Lark-Signature"],
    }
    assert is_signed(KEY, raw=raw, **signed)


@pytest.mark.parametrize("given_, same", [("abc", True), ("abd", False), ("", False), ("é\ud800", False)])
def test_texts_are_compared_whatever_is_in_them(given_: str, same: bool) -> None:  # noqa: FBT001 - a row
    assert same == equal_in_constant_time("abc", given_)
