"""Webhook request: is it Feishu's, and what does it say? Pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from notifier.clock import Millis
from notifier.errors import ConfigError
from notifier.feishu.webhook.crypto import (
    NONCE_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    DecryptionError,
    decrypt,
    equal_in_constant_time,
    is_signed,
)
from notifier.feishu.wire import millis_or_zero, read_json

URL_CHECK = "url_verification"
LARGEST_URL_CHECK = 4096
"""Bytes. What Feishu sends to check an address has a few hundred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAccess:
    """What Feishu shows to us, "" for what is not used. Raises ConfigError when there is nothing to check it by."""

    app_id: str
    path: str
    encrypt_key: str = field(repr=False, default="")
    verification_token: str = field(repr=False, default="")
    replay_window_seconds: int = 300

    def __post_init__(self) -> None:
        if not self.encrypt_key and not self.verification_token:
            raise ConfigError(
                "webhook: needs webhook.encrypt_key or webhook.verification_token, or anybody could post events"
            )


class RejectionReason(StrEnum):
    """Why a request was refused, for the operator; the other side is not told."""

    UNSIGNED = "there is no signature, though an Encrypt Key is set here"
    WRONG_KEY = (
        "it is unsigned and does not decrypt: is webhook.encrypt_key the one in the developer console?"
    )
    WRONG_SIGNATURE = "the signature is wrong: is webhook.encrypt_key the one in the developer console?"
    UNEXPECTED_ENCRYPTION = "it is encrypted, but webhook.encrypt_key is not set here"
    BAD_TIMESTAMP = "the timestamp is missing or too far from this machine's clock"
    WRONG_TOKEN = "the verification token is missing or wrong"  # noqa: S105 - a sentence


class RequestRejected(Exception):
    def __init__(self, reason: RejectionReason) -> None:
        self.reason = reason
        super().__init__(reason.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedRequest:
    """payload: plain JSON as it comes over the long connection, or whatever was sent under a right signature.
    challenge: the text to be given back, if this is the check of our address.
    """

    payload: bytes
    challenge: str | None


def verify_request(
    access: WebhookAccess, headers: Mapping[str, str], raw: bytes, *, now: Millis
) -> VerifiedRequest:
    """Raises Refused, and Undecipherable for what is rightly signed but cannot be decrypted."""
    signed = bool(access.encrypt_key) and _check_signature(access, headers, raw, now)
    if access.encrypt_key and not signed and len(raw) > LARGEST_URL_CHECK:
        raise RequestRejected(RejectionReason.UNSIGNED)  # unread: a stranger's megabyte would cost 0.15 s
    payload, was_encrypted = _decrypt_body(access, raw, signed=signed)
    body = _parse_object(payload)
    challenge = _challenge(body)
    if access.encrypt_key and not signed and not (was_encrypted and challenge is not None):
        raise RequestRejected(RejectionReason.UNSIGNED)
    token = _token(body)
    if access.verification_token and not equal_in_constant_time(access.verification_token, token):
        raise RequestRejected(RejectionReason.WRONG_TOKEN)
    return VerifiedRequest(payload=_without_token(payload, token), challenge=challenge)


def _check_signature(access: WebhookAccess, headers: Mapping[str, str], raw: bytes, now: Millis) -> bool:
    """False where there is none at all: Feishu promises none for the check of an address. Raises Refused."""
    signature = headers.get(SIGNATURE_HEADER)
    if signature is None:
        return False
    timestamp, nonce = headers.get(TIMESTAMP_HEADER, ""), headers.get(NONCE_HEADER, "")
    if not is_signed(access.encrypt_key, timestamp=timestamp, nonce=nonce, signature=signature, raw=raw):
        raise RequestRejected(RejectionReason.WRONG_SIGNATURE)
    if abs(millis_or_zero(timestamp) - now) > 1000 * access.replay_window_seconds:
        raise RequestRejected(RejectionReason.BAD_TIMESTAMP)
    return True


def _decrypt_body(access: WebhookAccess, raw: bytes, *, signed: bool) -> tuple[bytes, bool]:
    """The body without its envelope, and whether it had one."""
    body = _parse_object(raw)
    if "encrypt" not in body:
        return raw, False
    if not access.encrypt_key:
        raise RequestRejected(RejectionReason.UNEXPECTED_ENCRYPTION)
    try:
        return decrypt(access.encrypt_key, body["encrypt"]), True
    except DecryptionError:
        if signed:
            raise
        raise RequestRejected(
            RejectionReason.WRONG_KEY
        ) from None  # not how far it got: that would help to guess


def _parse_object(raw: bytes) -> dict[str, object]:
    """Empty for whatever is no JSON object."""
    try:
        body = read_json(raw)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _challenge(body: Mapping[str, object]) -> str | None:
    challenge = body.get("challenge")
    return challenge if body.get("type") == URL_CHECK and isinstance(challenge, str) else None


def _token(body: Mapping[str, object]) -> str:
    """Of the 2.0 header, or where 1.0 events and the check of an address have it."""
    header = body.get("header")
    token = header.get("token") if isinstance(header, dict) else body.get("token")
    return token if isinstance(token, str) else ""


def _without_token(payload: bytes, token: str) -> bytes:
    """As over the long connection, where it is empty: a secret does not belong on disk. All else stays as it is."""
    if not token:
        return payload
    value = re.escape(json.dumps(token, ensure_ascii=False).encode(errors="surrogatepass"))
    return re.sub(rb'"token"\s*:\s*' + value, b'"token":""', payload)
