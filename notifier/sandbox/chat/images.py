"""The types of images that Feishu accepts, by their first bytes."""

CONTENT_TYPES = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
    b"BM": "image/bmp",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
    b"\x00\x00\x01\x00": "image/x-icon",
}
"""The type of an image by its first bytes; HEIC has `ftyp` at byte 4."""


def image_type(data: bytes) -> str | None:
    """The content type of an image, None for bytes that are no image that Feishu accepts."""
    if data[4:8] == b"ftyp":
        return "image/heic"
    return next((kind for start, kind in CONTENT_TYPES.items() if data.startswith(start)), None)
