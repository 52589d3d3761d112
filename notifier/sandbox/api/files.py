"""The calls that upload and download files and images."""

from typing import Any
from urllib.parse import quote

from notifier.sandbox.api.gateway import Api, Call, RawAnswer
from notifier.sandbox.api.quota import MESSAGES
from notifier.sandbox.chat.images import image_type
from notifier.sandbox.error_codes import JsonObject, RefusedError
from notifier.sandbox.tenant import Tenant, new_id

UPLOAD_SCOPES = ("im:resource", "im:resource:upload")
DOWNLOAD_SCOPES = ("im:resource", "im:resource:read")
BOT_OFF = 234007
"""The code of an upload without the ability Bot."""
FILE_TYPES = ("opus", "mp4", "pdf", "doc", "xls", "ppt", "stream")
FILE_BYTES, IMAGE_BYTES = 30 * 1024 * 1024, 10 * 1024 * 1024
IMAGES_KEPT_BYTES = 16 * 1024 * 1024
"""Older images cannot be downloaded any more."""


class FileApi:
    """The calls for files and images. Only what was uploaded here can be sent, shown and downloaded."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def apis(self) -> list[Api]:
        """All calls of this class."""
        files, images = "/open-apis/im/v1/files", "/open-apis/im/v1/images"
        common: Any = {"limits": MESSAGES, "bot_off_code": BOT_OFF}
        upload: Any = {**common, "method": "POST", "scopes": UPLOAD_SCOPES}
        download: Any = {**common, "method": "GET", "scopes": DOWNLOAD_SCOPES}
        kept = f"the newest {IMAGES_KEPT_BYTES // 1024 // 1024} MB of images are kept"
        types = f"`file_type` is one of {', '.join(FILE_TYPES)}; 234001 for any other is our choice"
        return [
            Api(path=files, answer=self.upload_file, notes=types, **upload),
            Api(path=images, answer=self.upload_image, notes="the resolution is not checked", **upload),
            Api(path=files + "/{file_key}", answer=self.download_file, **download),
            Api(path=images + "/{image_key}", answer=self.download_image, notes=kept, **download),
        ]

    def upload_file(self, call: Call) -> JsonObject:
        """Uploads a file for a later message of type file."""
        name = call.form.get("file_name")
        if not isinstance(name, str) or call.form.get("file_type") not in FILE_TYPES:
            raise RefusedError(234001)
        data = _bytes_of(call, "file", limit=FILE_BYTES)
        file_key = new_id("file_v3")
        self._tenant.files[file_key] = {"file_name": name, "bytes": len(data), "content": data}
        return {"file_key": file_key}

    def upload_image(self, call: Call) -> JsonObject:
        """Uploads an image for messages and cards, or for an avatar, which cannot be downloaded."""
        kind = call.form.get("image_type")
        if kind not in ("message", "avatar"):
            raise RefusedError(234001)
        data = _bytes_of(call, "image", limit=IMAGE_BYTES)
        if image_type(data) is None:
            raise RefusedError(234011)
        image_key = new_id("img_v3")
        self._tenant.images.add(image_key)
        if kind == "message":
            self._keep_image(image_key, data)
        return {"image_key": image_key}

    def _keep_image(self, image_key: str, data: bytes) -> None:
        kept = self._tenant.image_bytes
        kept[image_key] = data
        total = sum(map(len, kept.values()))
        while total > IMAGES_KEPT_BYTES and len(kept) > 1:
            total -= len(kept.pop(next(iter(kept))))

    def download_file(self, call: Call) -> RawAnswer:
        """The bytes of a file that the app uploaded."""
        file = self._tenant.files.get(call.path["file_key"])
        data = file["content"] if file else None
        if file is None or not isinstance(data, bytes):
            raise RefusedError(234001)
        name = quote(str(file["file_name"]), safe="")
        return RawAnswer(body=data, headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"})

    def download_image(self, call: Call) -> RawAnswer:
        """The bytes of an image that the app uploaded for messages."""
        image_key = call.path["image_key"]
        data = self._tenant.image_bytes.get(image_key)
        if data is None:
            raise RefusedError(234005 if image_key in self._tenant.images else 234001)
        return RawAnswer(body=data, content_type=image_type(data) or "application/octet-stream")


def _bytes_of(call: Call, part: str, *, limit: int) -> bytes:
    data = call.form.get(part)
    if not isinstance(data, bytes):
        raise RefusedError(234001)
    if not data:
        raise RefusedError(234010)
    if len(data) > limit:
        raise RefusedError(234006)
    return data
