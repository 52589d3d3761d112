"""Signature and encryption of Feishu's webhook requests.

The Encrypt Key serves both: its SHA-256 is the key of AES-256-CBC, and it is part of a SHA-256 over the raw body.
"""

import hashlib
import hmac
from base64 import b64decode

from Crypto.Cipher import AES
from Crypto.Util.Padding import unpad

SIGNATURE_HEADER = "X-Lark-Signature"
TIMESTAMP_HEADER = "X-Lark-Request-Timestamp"
NONCE_HEADER = "X-Lark-Request-Nonce"


class DecryptionError(ValueError):
    """The body cannot be decrypted. The text names the failed step and never contains content."""


def is_signed(encrypt_key: str, *, timestamp: str, nonce: str, signature: str, raw: bytes) -> bool:
    """Return whether the signature is valid.

    raw: the body as received, still encrypted. timestamp, nonce, signature: header values as aiohttp decodes them.
    """
    signed = _bytes(timestamp) + _bytes(nonce) + encrypt_key.encode() + raw
    return equal_in_constant_time(hashlib.sha256(signed).hexdigest(), signature)


def equal_in_constant_time(expected: str, given: str) -> bool:
    """Compare two texts in constant time; works for all characters, lone surrogates included."""
    return hmac.compare_digest(_bytes(expected), _bytes(given))


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def decrypt(encrypt_key: str, encrypted: object) -> bytes:
    """Decrypt a body. encrypted: base64 of a 16-byte IV and the cipher text. Raises DecryptionError."""
    if not isinstance(encrypted, str):
        raise DecryptionError("it is no text")
    try:
        encrypted_bytes = b64decode(encrypted, validate=True)
    except ValueError as error:
        raise DecryptionError("it is not base64") from error
    iv, blocks = encrypted_bytes[: AES.block_size], encrypted_bytes[AES.block_size :]
    if not blocks or len(blocks) % AES.block_size:
        raise DecryptionError(f"{len(encrypted_bytes)} bytes are no whole blocks")
    cipher = AES.new(hashlib.sha256(encrypt_key.encode()).digest(), AES.MODE_CBC, iv)
    try:
        return unpad(cipher.decrypt(blocks), AES.block_size)
    except ValueError as error:
        raise DecryptionError("its padding is wrong: another Encrypt Key?") from error
