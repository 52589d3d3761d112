"""The protobuf message `pbbp2.Frame` of the long connection, to and from bytes.

The module implements the protobuf wire format directly (varints and length-delimited fields), so that it shares no code
with Feishu's SDK. Unknown fields are skipped.
"""

from dataclasses import dataclass

CONTROL, DATA = 0, 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_UINT64 = (1 << 64) - 1


class FrameError(ValueError):
    """The bytes are not a valid frame. The text gives the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame; the fields have the names of Feishu's SDK."""

    seq_id: int = 0  # not used by the sandbox
    log_id: int = 0  # not used by the sandbox
    service: int = 0  # service_id of the connection URL
    method: int = CONTROL  # CONTROL or DATA
    headers: tuple[tuple[str, str], ...] = ()  # in order; of a repeated key the first one counts
    payload_encoding: str | None = None  # not used by the sandbox
    payload_type: str | None = None  # not used by the sandbox
    payload: bytes | None = None  # JSON: an event, a client configuration or an acknowledgement
    log_id_new: str | None = None  # not used by the sandbox

    def header(self, key: str) -> str | None:
        """The first value of a header, None when it is absent."""
        return next((value for name, value in self.headers if name == key), None)

    def to_bytes(self) -> bytes:
        """The frame in the protobuf wire format."""
        encoded = [_int_field(1, self.seq_id), _int_field(2, self.log_id)]
        encoded += [_int_field(3, self.service), _int_field(4, self.method)]
        for key, value in self.headers:
            encoded.append(_bytes_field(5, _bytes_field(1, key.encode()) + _bytes_field(2, value.encode())))
        for number, text in ((6, self.payload_encoding), (7, self.payload_type)):
            if text is not None:
                encoded.append(_bytes_field(number, text.encode()))
        if self.payload is not None:
            encoded.append(_bytes_field(8, self.payload))
        if self.log_id_new is not None:
            encoded.append(_bytes_field(9, self.log_id_new.encode()))
        return b"".join(encoded)

    @staticmethod
    def from_bytes(raw: bytes) -> "Frame":
        """Decodes one frame. Raises FrameError for anything but a complete frame with its four required numbers."""
        numbers: dict[int, int] = {}
        texts: dict[int, bytes] = {}
        headers: list[tuple[str, str]] = []
        for number, value in _fields(raw):
            if number in (1, 2, 3, 4):
                numbers[number] = _as_int(number, value)
            elif number == 5:
                headers.append(_header(_as_bytes(number, value)))
            elif number in (6, 7, 8, 9):
                texts[number] = _as_bytes(number, value)
        missing = [
            name
            for number, name in enumerate(("SeqID", "LogID", "service", "method"), 1)
            if number not in numbers
        ]
        if missing:
            raise FrameError(f"required field missing: {', '.join(missing)}")
        return Frame(
            seq_id=numbers[1],
            log_id=numbers[2],
            service=_int32(numbers[3]),
            method=_int32(numbers[4]),
            headers=tuple(headers),
            payload_encoding=_text(texts[6]) if 6 in texts else None,
            payload_type=_text(texts[7]) if 7 in texts else None,
            payload=texts.get(8),
            log_id_new=_text(texts[9]) if 9 in texts else None,
        )


_ONE_BYTE = tuple(bytes((value,)) for value in range(0x80))


def _varint(value: int) -> bytes:
    if 0 <= value < 0x80:  # most numbers: keys, lengths of headers
        return _ONE_BYTE[value]
    value &= _UINT64  # protobuf encodes negative numbers as 64-bit two's complement
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _int_field(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _bytes_field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _fields(raw: bytes) -> list[tuple[int, int | bytes]]:
    found: list[tuple[int, int | bytes]] = []
    at = 0
    while at < len(raw):
        key, at = _read_varint(raw, at)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise FrameError(f"field number 0 before byte {at}")
        value: int | bytes
        if kind == _VARINT:
            value, at = _read_varint(raw, at)
        elif kind == _BYTES:
            size, at = _read_varint(raw, at)
            value, at = _read_bytes(raw, at, size)
        elif kind in (_FIXED64, _FIXED32):
            value, at = _read_bytes(raw, at, 8 if kind == _FIXED64 else 4)
        else:
            raise FrameError(f"wire type {kind} before byte {at}")
        found.append((number, value))
    return found


def _read_varint(raw: bytes, at: int) -> tuple[int, int]:
    if at < len(raw) and raw[at] < 0x80:  # most numbers
        return raw[at], at + 1
    value = shift = 0
    while True:
        if at >= len(raw):
            raise FrameError("ends inside a number")
        if shift > 63:
            raise FrameError(f"number longer than 10 bytes before byte {at}")
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value & _UINT64, at


def _read_bytes(raw: bytes, at: int, size: int) -> tuple[bytes, int]:
    if at + size > len(raw):
        raise FrameError(f"field of {size} bytes at byte {at} runs past the end")
    return raw[at : at + size], at + size


def _header(raw: bytes) -> tuple[str, str]:
    found = {number: value for number, value in _fields(raw) if number in (1, 2)}
    if len(found) != 2:
        raise FrameError("header without key or value")
    return _text(_as_bytes(1, found[1])), _text(_as_bytes(2, found[2]))


def _as_int(number: int, value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise FrameError(f"field {number} should be a number")
    return value


def _as_bytes(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise FrameError(f"field {number} should be bytes")
    return value


def _int32(value: int) -> int:
    low = value & 0xFFFFFFFF
    return low - (1 << 32) if low >= 1 << 31 else low


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise FrameError(f"text is not UTF-8: {error.reason}") from error
