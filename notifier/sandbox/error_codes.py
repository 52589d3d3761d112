"""Error codes of Feishu's API that the sandbox answers with, with HTTP status and message."""

from collections.abc import Mapping

from aiohttp import web

JsonObject = dict[str, object]

STATUS_AND_MESSAGE: dict[int, tuple[int, str]] = {
    # token call: the answer is HTTP 200 with a code
    10003: (200, "invalid param"),
    10014: (200, "app unavailable"),
    10015: (200, "app secret invalid"),
    # any call
    9499: (400, "Bad Request"),
    99991400: (429, "request trigger frequency limit"),
    99991661: (
        400,
        "Missing access token for authorization. Please make a test attempt with the correct access token.",
    ),
    99991663: (
        400,
        "Invalid access token for authorization. Please make a test attempt with the correct access token.",
    ),
    99991662: (400, "The app is disabled in this tenant."),
    99991671: (400, "Invalid access token for authorization. The token must start with 't-' or 'u-'."),
    99991672: (400, "Access denied."),
    99992351: (400, "The request contains an open_id that does not exist."),
    99992354: (400, "The request contains a message_id that does not exist."),
    99992356: (400, "The request contains a chat_id that does not exist."),
    99992361: (400, "open_id cross app"),
    99992402: (400, "field validation failed"),
    # messages
    230001: (400, "Your request contains an invalid request parameter."),
    230002: (400, "Bot/User can NOT be out of the chat."),
    230006: (400, "Bot ability is not activated."),
    230011: (400, "The message was withdrawn."),
    230013: (400, "Bot has NO availability to this user."),
    230017: (400, "Bot is NOT the owner of the resource."),
    230018: (400, "These operations are NOT allowed at current group settings."),
    230020: (400, "This operation triggers the frequency limit."),
    230025: (400, "The length of the message content reaches its limit."),
    230028: (400, "The messages do NOT pass the audit."),
    230029: (400, "User has resigned."),
    230031: (400, "The message has exceeded the time limit for update."),
    230034: (400, "The receive_id is invalid."),
    230035: (400, "Send Message Permission deny."),
    230053: (400, "The user has stopped the bot from sending messages."),
    230054: (400, "This operation is NOT supported for this message type."),
    230099: (400, "Failed to create card content"),
    232009: (400, "Your request specifies a chat which has already been dissolved."),
    234001: (400, "Invalid request param."),
    234006: (400, "The file size exceeds the max value."),
    234007: (400, "Bot ability is not activated."),
    234010: (400, "File's size can't be 0."),
    234011: (400, "The image type is not supported."),
    # contact and chats
    40001: (400, "param error"),
    41012: (400, "user id invalid error"),
    41050: (400, "no user authority error"),
    232006: (400, "Your request specifies a chat_id which is invalid."),
    232025: (400, "Bot ability is not activated."),
    # application
    210508: (400, "insufficient permission level"),
    # hire
    1002001: (500, "system error"),
    1002002: (400, "invalid parameter"),
    1002551: (400, "user not found"),
    1002552: (400, "more than one user found"),
    1002553: (400, "referral account does not exist"),
    1002555: (400, "referral account is deactivated"),
}


class RefusedError(Exception):
    """The call is answered with an error code instead of data.

    code: a key of `STATUS_AND_MESSAGE`. detail: text after the message. headers: more headers of the answer.
    error: more members of the `error` object of the answer.
    """

    def __init__(
        self,
        code: int,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        error: JsonObject | None = None,
    ) -> None:
        self.code = code
        self.http_status, message = STATUS_AND_MESSAGE[code]
        self.msg = f"{message} {detail}".strip() if code != 230099 else f"{message}, {detail}"
        self.headers = dict(headers or {})
        self.error = dict(error or {})
        super().__init__(f"{code}: {self.msg}")


def bad_field(name: str, reason: str, value: object = "") -> RefusedError:
    """Error 99992402 with Feishu's list of violations, for a field that is missing or out of range."""
    violation = {"field": name, "value": str(value)[:100], "description": reason}
    return RefusedError(99992402, error={"field_violations": [violation]})


def wrong_type(name: str, value: object) -> RefusedError:
    """Error 9499 for a field of the wrong JSON type. Feishu's gateway checks it before the API."""
    return RefusedError(
        9499, f"Invalid parameter type in json: {name}. Invalid parameter value: {value!r:.100}"
    )


def text_field(body: JsonObject, name: str) -> str:
    """The value of a required string. Raises RefusedError."""
    if body.get(name) in (None, ""):
        raise bad_field(name, f"{name} is required")
    value = body[name]
    if not isinstance(value, str):
        raise wrong_type(name, value)
    return value


def optional_text(body: JsonObject, name: str) -> str | None:
    """The value of an optional string, None when it is absent. Raises RefusedError."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise wrong_type(name, value)
    return value


def bool_field(body: JsonObject, name: str) -> bool:
    """The value of an optional boolean, False when it is absent. Raises RefusedError."""
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise wrong_type(name, value)
    return value


LOG_ID = web.RequestKey("LOG_ID", str)  # sent as X-Tt-Logid
CODE = web.RequestKey("CODE", int)  # the code of the JSON answer
