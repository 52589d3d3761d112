"""Damage: a push as a bad line delivers it. None of these can be read, so none is ever acknowledged."""

from dataclasses import replace

from notifier.sandbox.push.frames import Frame


def damaged(frames: list[Frame], how: str) -> list[bytes]:
    """bytes: the frames are no protobuf any more. header: message_id is missing. chunk: the last part never comes."""
    match how:
        case "bytes":
            return [_flipped(frame.to_bytes()) for frame in frames]
        case "header":
            return [_without(frame, "message_id").to_bytes() for frame in frames]
        case _:
            parts = frames if len(frames) > 1 else _in_two(frames[0])
            return [frame.to_bytes() for frame in parts[:-1]]


def damaged_post(headers: dict[str, str], body: bytes, how: str) -> tuple[dict[str, str], bytes]:
    """bytes: some of the body are others. header: what proves the sender is missing. chunk: half of the body is."""
    match how:
        case "bytes":
            return headers, _flipped(body)
        case "header":
            return {name: value for name, value in headers.items() if "Signature" not in name}, body
        case _:
            return headers, body[: len(body) // 2]


def _flipped(raw: bytes) -> bytes:
    """The first byte among them: it becomes a field of a kind that protobuf does not have."""
    return bytes(byte ^ 0xFF if at % 7 == 0 else byte for at, byte in enumerate(raw))


def _without(frame: Frame, key: str) -> Frame:
    return replace(frame, headers=tuple(header for header in frame.headers if header[0] != key))


def _in_two(frame: Frame) -> list[Frame]:
    payload = frame.payload or b""
    middle = len(payload) // 2
    others = _without(_without(frame, "sum"), "seq").headers
    return [
        replace(frame, headers=(*others, ("sum", "2"), ("seq", str(seq))), payload=part)
        for seq, part in enumerate((payload[:middle], payload[middle:]))
    ]
