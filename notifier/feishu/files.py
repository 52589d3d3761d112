"""Files for messages. Source: im/v1/files create page, read 2026-05: at most 30 MB and not empty; 1000 a minute, 50 a
second; only the app that uploaded a file may send it.
"""

from notifier.errors import NotDone
from notifier.feishu.api import FeishuApi

PATH = "/open-apis/im/v1/files"
ANY_TYPE = "stream"
"""`file_type` of everything that has no type of its own there, CSV among them."""


class Files:
    def __init__(self, api: FeishuApi) -> None:
        self._api = api

    async def upload(self, *, name: str, content: bytes) -> str:
        """Gives the file_key. Seen by nobody until a message shows it, so that it may be repeated. Raises CallError."""
        fields = {"file_type": ANY_TYPE, "file_name": name}
        answer = await self._api.upload(PATH, fields=fields, file_name=name, content=content)
        key = answer.data.get("file_key")
        if not isinstance(key, str) or not key:
            raise NotDone("the answer to an upload names no file", log_id=answer.log_id)
        return key
