"""Damages a push, as a faulty network does. A damaged push cannot be read, so it is never acknowledged."""

from dataclasses import replace

from notifier.sandbox.push.frames import Frame


def damage_frames(frames: list[Frame], damage: str) -> list[bytes]:
    """The damaged frames. damage: `bytes` (no valid protobuf), `header` (no message_id) or `chunk` (one missing)."""
    match damage:
        case "bytes":
            return [_flip_bytes(frame.to_bytes()) for frame in frames]
        case "header":
            return [_without_header(frame, "message_id").to_bytes() for frame in frames]
        case _:
            chunks = frames if len(frames) > 1 else _split_in_two(frames[0])
            return [frame.to_bytes() for frame in chunks[:-1]]


def damage_post(headers: dict[str, str], body: bytes, damage: str) -> tuple[dict[str, str], bytes]:
    """The damaged post. damage: `bytes` (body changed), `header` (no signature) or `chunk` (half of the body)."""
    match damage:
        case "bytes":
            return headers, _flip_bytes(body)
        case "header":
            return {name: value for name, value in headers.items() if "Signature" not in name}, body
        case _:
            return headers, body[: len(body) // 2]


def _flip_bytes(raw: bytes) -> bytes:
    """Also flips the first byte, so that the first field has an invalid wire type."""
    return bytes(byte ^ 0xFF if at % 7 == 0 else byte for at, byte in enumerate(raw))


def _without_header(frame: Frame, key: str) -> Frame:
    return replace(frame, headers=tuple(header for header in frame.headers if header[0] != key))


def _split_in_two(frame: Frame) -> list[Frame]:
    payload = frame.payload or b""
    middle = len(payload) // 2
    others = _without_header(_without_header(frame, "sum"), "seq").headers
    return [
        replace(frame, headers=(*others, ("sum", "2"), ("seq", str(seq))), payload=chunk)
        for seq, chunk in enumerate((payload[:middle], payload[middle:]))
    ]
