"""Event crypto: how Feishu signs and encrypts what it posts to an address of ours. Pure.

The Encrypt Key does both: its SHA-256 is the key of AES-256-CBC, and it goes into a SHA-256 over the raw body.
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
    """The text says which step failed; never a part of the content."""


def is_signed(encrypt_key: str, *, timestamp: str, nonce: str, signature: str, raw: bytes) -> bool:
    """raw: the bytes as they came, still encrypted. The header's texts are as aiohttp decodes them."""
    signed = _bytes(timestamp) + _bytes(nonce) + encrypt_key.encode() + raw
    return equal_in_constant_time(hashlib.sha256(signed).hexdigest(), signature)


def equal_in_constant_time(expected: str, given: str) -> bool:
    """In constant time, whatever characters somebody sends."""
    return hmac.compare_digest(_bytes(expected), _bytes(given))


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def decrypt(encrypt_key: str, encrypted: object) -> bytes:
    """encrypted: base64 of 16 bytes IV and the cipher text. Raises Undecipherable."""
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
