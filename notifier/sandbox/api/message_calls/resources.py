"""The files and images of messages."""

import mimetypes
from collections.abc import Iterator
from urllib.parse import quote

from notifier.sandbox.api.files import BOT_OFF
from notifier.sandbox.api.gateway import Api, Call, RawAnswer
from notifier.sandbox.api.message_calls.history import HISTORY_SCOPES
from notifier.sandbox.api.quota import MESSAGES
from notifier.sandbox.api.recipients import check_readable, find_message
from notifier.sandbox.chat.images import image_type
from notifier.sandbox.error_codes import RefusedError
from notifier.sandbox.tenant import Message, Tenant

KEYS = {"image": ("image_key",), "file": ("file_key",)}
"""The members of a content that hold keys of each type of resource."""
WITHOUT_RESOURCES = ("interactive", "merge_forward", "sticker")
"""Types of messages whose resources Feishu does not give."""


class ResourceApi:
    """The call that downloads a file or image of a message, also of those that people wrote."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def apis(self) -> list[Api]:
        """All calls of this class."""
        return [
            Api(
                method="GET",
                path="/open-apis/im/v1/messages/{message_id}/resources/{file_key}",
                scopes=HISTORY_SCOPES,
                limits=MESSAGES,
                bot_off_code=BOT_OFF,
                answer=self.download,
            )
        ]

    def download(self, call: Call) -> RawAnswer:
        """The bytes of a resource, with its name in `Content-Disposition`."""
        kind, key = call.query.get("type", ""), call.path["file_key"]
        if kind not in KEYS:
            raise RefusedError(234001)
        message = find_message(self._tenant, call.path["message_id"])
        try:
            check_readable(self._tenant, message.chat_id)
        except RefusedError as refused:
            raise (RefusedError(234004) if refused.code == 230002 else refused) from refused
        if message.recalled:
            raise RefusedError(230110)
        if message.msg_type in WITHOUT_RESOURCES:
            raise RefusedError(234043)
        if key not in _find_keys(message, KEYS[kind]):
            raise RefusedError(234003)
        return self._image(key) if kind == "image" else self._file(key)

    def _image(self, key: str) -> RawAnswer:
        data = self._tenant.image_bytes.get(key)
        if data is None:
            raise RefusedError(234003)
        return RawAnswer(body=data, content_type=image_type(data) or "application/octet-stream")

    def _file(self, key: str) -> RawAnswer:
        file = self._tenant.files.get(key)
        data = file["content"] if file else None
        if file is None or not isinstance(data, bytes):
            raise RefusedError(234003)
        name = str(file["file_name"])
        return RawAnswer(
            body=data,
            content_type=mimetypes.guess_type(name)[0] or "application/octet-stream",
            headers={"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"},
        )


def _find_keys(message: Message, members: tuple[str, ...]) -> Iterator[str]:
    """All keys in the content, also in the nodes of a post."""
    waiting: list[object] = [message.content]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield from (str(item[name]) for name in members if name in item)
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
