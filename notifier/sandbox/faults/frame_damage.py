"""Damage: a push as a bad line delivers it. None of these can be read, so none is ever acknowledged."""

from dataclasses import replace

from notifier.sandbox.push.frames import Frame


def damage_frames(frames: list[Frame], damage: str) -> list[bytes]:
    """bytes: the frames are no protobuf any more. header: message_id is missing. chunk: the last part never comes."""
    match damage:
        case "bytes":
            return [_flip_bytes(frame.to_bytes()) for frame in frames]
        case "header":
            return [_without_header(frame, "message_id").to_bytes() for frame in frames]
        case _:
            parts = frames if len(frames) > 1 else _split_in_two(frames[0])
            return [frame.to_bytes() for frame in parts[:-1]]


def damage_post(headers: dict[str, str], body: bytes, damage: str) -> tuple[dict[str, str], bytes]:
    """bytes: some of the body are others. header: what proves the sender is missing. chunk: half of the body is."""
    match damage:
        case "bytes":
            return headers, _flip_bytes(body)
        case "header":
            return {name: value for name, value in headers.items() if "Signature" not in name}, body
        case _:
            return headers, body[: len(body) // 2]


def _flip_bytes(raw: bytes) -> bytes:
    """The first byte among them: it becomes a field of a kind that protobuf does not have."""
    return bytes(byte ^ 0xFF if at % 7 == 0 else byte for at, byte in enumerate(raw))


def _without_header(frame: Frame, key: str) -> Frame:
    return replace(frame, headers=tuple(header for header in frame.headers if header[0] != key))


def _split_in_two(frame: Frame) -> list[Frame]:
    payload = frame.payload or b""
    middle = len(payload) // 2
    others = _without_header(_without_header(frame, "sum"), "seq").headers
    return [
        replace(frame, headers=(*others, ("sum", "2"), ("seq", str(seq))), payload=part)
        for seq, part in enumerate((payload[:middle], payload[middle:]))
    ]
