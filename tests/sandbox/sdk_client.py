"""The official Python SDK in this process: its own request builders and response models against a sandbox."""

import inspect
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lark_oapi as lark

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox


class SdkClient:
    """Calls of the SDK by name, such as ask("im.v1.chat.get", chat_id="oc_1")."""

    def __init__(self, box: FeishuBox) -> None:
        self.box = box
        self._own, self._given = self._client(given=False), self._client(given=True)

    def _client(self, *, given: bool) -> Any:
        builder = lark.Client.builder().app_id(self.box.app_id).app_secret(self.box.app_secret)
        return builder.domain(self.box.url).enable_set_token(given).log_level(lark.LogLevel.CRITICAL).build()

    def ask(
        self, name: str, *, body: Any = None, user_token: str = "", app_token: str = "", **params: Any
    ) -> Any:
        """The response of one call. body: members of its request body. params: path and query."""
        given = bool(user_token or app_token)
        found = self._given if given else self._own
        for part in name.split("."):
            found = getattr(found, part)
        request_type = inspect.signature(found).parameters["request"].annotation
        module = sys.modules[request_type.__module__.rpartition(".")[0]]
        builder = request_type.builder()
        for key, value in params.items():
            builder = getattr(builder, key)(value)
        if body is not None:
            member = "request_body" if hasattr(builder, "request_body") else None
            assert member, f"{name} takes no body"
            body_type = inspect.signature(builder.request_body).parameters["request_body"].annotation
            builder = builder.request_body(getattr(module, body_type.__name__)(body))
        option = lark.RequestOption.builder()
        if user_token:
            option = option.user_access_token(user_token)
        if app_token:
            option = option.app_access_token(app_token)
        return found(builder.build(), option.build()) if given else found(builder.build())

    def data(self, name: str, **arguments: Any) -> Any:
        """The `data` of a call that must be accepted."""
        response = self.ask(name, **arguments)
        assert response.success(), (name, response.code, response.msg)
        return getattr(response, "data", None)

    def code(self, name: str, **arguments: Any) -> int:
        """The code of a call."""
        return int(self.ask(name, **arguments).code)


@contextmanager
def sdk_client(**settings: Any) -> Iterator[SdkClient]:
    """A client and its sandbox, which ends with the block.

    The SDK keeps tokens by app id alone, so each sandbox has an app of its own. Tokens outlast moves of the clock.
    """
    app_id = f"cli_{secrets.token_hex(8)}"
    with FeishuBox(SandboxSettings(app_id=app_id, token_lifetime_seconds=10**8, **settings)) as box:
        yield SdkClient(box)
