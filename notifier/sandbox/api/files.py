"""The upload calls: files and images for later messages and cards."""

from notifier.sandbox.api.gateway import Api, Call
from notifier.sandbox.api.quota import MESSAGES
from notifier.sandbox.error_codes import JsonObject, RefusedError
from notifier.sandbox.tenant import Tenant, new_id

UPLOAD_SCOPES = ("im:resource", "im:resource:upload")
BOT_OFF = 234007
"""The code of an upload without the ability Bot."""
FILE_BYTES, IMAGE_BYTES = 30 * 1024 * 1024, 10 * 1024 * 1024
_IMAGE_STARTS = (
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"RIFF",
    b"BM",
    b"II*\x00",
    b"MM\x00*",
    b"\x00\x00\x01\x00",
)
"""First bytes of PNG, JPEG, GIF, WebP, BMP, TIFF and ICO. HEIC has `ftyp` at byte 4."""


class FileApi:
    """The upload calls. Only what was uploaded here can be sent or shown."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def apis(self) -> list[Api]:
        """All calls of this class."""
        calls = (("/open-apis/im/v1/files", self.upload_file), ("/open-apis/im/v1/images", self.upload_image))
        return [
            Api(
                method="POST",
                path=path,
                scopes=UPLOAD_SCOPES,
                limits=MESSAGES,
                answer=answer,
                bot_off_code=BOT_OFF,
            )
            for path, answer in calls
        ]

    def upload_file(self, call: Call) -> JsonObject:
        """Uploads a file for a later message of type file."""
        name = call.form.get("file_name")
        if not isinstance(name, str) or not call.form.get("file_type"):
            raise RefusedError(234001)
        data = _bytes_of(call, "file", limit=FILE_BYTES)
        file_key = new_id("file_v3")
        self._tenant.files[file_key] = {"file_name": name, "bytes": len(data), "content": data}
        return {"file_key": file_key}

    def upload_image(self, call: Call) -> JsonObject:
        """Uploads an image for messages and cards. Its content is not kept."""
        if call.form.get("image_type") not in ("message", "avatar"):
            raise RefusedError(234001)
        data = _bytes_of(call, "image", limit=IMAGE_BYTES)
        if not data.startswith(_IMAGE_STARTS) and data[4:8] != b"ftyp":
            raise RefusedError(234011)
        image_key = new_id("img_v3")
        self._tenant.images.add(image_key)
        return {"image_key": image_key}


def _bytes_of(call: Call, part: str, *, limit: int) -> bytes:
    data = call.form.get(part)
    if not isinstance(data, bytes):
        raise RefusedError(234001)
    if not data:
        raise RefusedError(234010)
    if len(data) > limit:
        raise RefusedError(234006)
    return data
