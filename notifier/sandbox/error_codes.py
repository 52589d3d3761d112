"""Error codes of Feishu's API that the sandbox answers with, with HTTP status and message."""

import json
from collections.abc import Callable, Mapping

from aiohttp import web

JsonObject = dict[str, object]

STATUS_AND_MESSAGE: dict[int, tuple[int, str]] = {
    # token call: the answer is HTTP 200 with a code
    10003: (200, "invalid param"),
    10012: (200, "app ticket invalid"),
    10014: (200, "app unavailable"),
    10015: (200, "app secret invalid"),
    # any call
    9499: (400, "Bad Request"),
    2200: (500, "Internal Error"),
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
    99991664: (400, "invalid app token"),
    99991668: (400, "Invalid access token for authorization."),
    99991677: (400, "Authentication token expired"),
    99991679: (
        400,
        "Unauthorized. You do not have permission to perform the requested operation on the resource.",
    ),
    99991671: (400, "Invalid access token for authorization. The token must start with 't-' or 'u-'."),
    99991672: (400, "Access denied."),
    99992351: (400, "The request contains an open_id that does not exist."),
    99992354: (400, "The request contains a message_id that does not exist."),
    99992356: (400, "The request contains a chat_id that does not exist."),
    99992361: (400, "open_id cross app"),
    99992402: (400, "field validation failed"),
    # login of people: version 2 answers HTTP 400, version 1 HTTP 200, see api/auth/login.py
    20001: (400, "The request is missing a required parameter."),
    20002: (400, "The client secret is invalid."),
    20003: (
        400,
        "The authorization code is not found. Please note that an authorization code can only be used once.",
    ),
    20004: (400, "The authorization code has expired."),
    20005: (200, "The user access token passed is invalid. Please check the value"),
    20010: (400, "The user does not have permission to use this app."),
    20014: (200, "The app access token passed is invalid. Please check the value"),
    20021: (200, "User resigned"),
    20026: (400, "The refresh token passed is invalid. Please check the value."),
    20027: (400, "The app has not been granted the scope that the login asks for."),
    20029: (400, "Invalid redirect uri."),
    20036: (400, "The specified grant_type is not supported."),
    20037: (400, "The refresh token passed has expired. Please generate a new one."),
    20038: (400, "The refresh token passed is not found. Please check the value"),
    20048: (400, "The specified app does not exist."),
    20049: (400, "PKCE code challenge failed."),
    20063: (400, "The request is malformed. Please check your request."),
    20065: (
        400,
        "The authorization code has been used. Please note that an authorization code can only be used once.",
    ),
    20066: (400, "The user status is invalid."),
    20067: (400, "The provided scope list contains duplicate scopes. Please ensure all scopes are unique."),
    20068: (
        400,
        "The provided scope list contains scopes that are not permitted. Please ensure all scopes are allowed.",
    ),
    20069: (400, "The specified app is not enabled."),
    20071: (400, "The provided redirect URI does not match the one used during authorization."),
    20073: (400, "The refresh token has been used. Please note that a refresh token can only be used once."),
    # custom bots of groups
    11232: (200, "frequency limited"),
    11246: (200, "card content err"),
    19001: (200, "param invalid: incoming webhook access token invalid"),
    19021: (200, "sign match fail or timestamp is not within one hour from current time"),
    19024: (200, "Key Words Not Found"),
    # card entities (CardKit)
    10002: (400, "Your request contains an invalid request parameter."),
    200220: (400, "Failed to generate card content"),
    200740: (400, "The card entity does not exist"),
    200750: (400, "The card entity has expired"),
    200770: (400, "UUID conflict"),
    200810: (400, "The card is in an ongoing interaction and cannot be updated"),
    200850: (400, "Card streaming timeout"),
    200860: (400, "Card content exceeds limit."),
    300121: (400, "Failed to replace element"),
    300122: (400, "Failed to update card configuration"),
    300301: (400, "Duplicate element_id in card component."),
    300302: (400, "update_multi property is false"),
    300303: (400, "Only schema 2.0 is supported"),
    300305: (400, "The number of card components exceeds 200"),
    300307: (400, "The card DSL is empty"),
    300309: (400, "Card streaming closed"),
    300310: (400, "Only update text"),
    300312: (400, "Unable to update element tag"),
    300313: (400, "Failed to update element properties"),
    300314: (400, "Failed to delete element"),
    300315: (400, "Failed to add element"),
    300317: (400, "The sequence number for operating on the card did not increment consecutively"),
    # delayed update of a card, and cards for one person
    11310: (400, "card action is lock"),
    11311: (400, "The card does not meet the format."),
    18051: (400, "The message was deleted."),
    100000: (400, "The card is larger than 100 KB."),
    200000: (400, "The card was withdrawn."),
    200320: (400, "open_ids of the exclusive card are wrong."),
    300020: (400, "The token is malformed."),
    300030: (400, "The token has expired."),
    300040: (400, "The token was used too often."),
    300090: (400, "open_ids are required for an exclusive card."),
    # messages
    230001: (400, "Your request contains an invalid request parameter."),
    230002: (400, "Bot/User can NOT be out of the chat."),
    230006: (400, "Bot ability is not activated."),
    230009: (400, "Message can only be recalled within one days."),
    230011: (400, "The message was withdrawn."),
    230012: (400, "Bot is NOT the sender of the message."),
    230013: (400, "Bot has NO availability to this user."),
    230017: (400, "Bot is NOT the owner of the resource."),
    230018: (400, "These operations are NOT allowed at current group settings."),
    230019: (400, "The thread does NOT exist."),
    230020: (400, "This operation triggers the frequency limit."),
    230023: (400, "The user has too many unread urgent messages."),
    230025: (400, "The length of the message content reaches its limit."),
    230026: (400, "No permission to recall this message."),
    230027: (400, "Lack of necessary permissions."),
    230028: (400, "The messages do NOT pass the audit."),
    230029: (400, "User has resigned."),
    230031: (400, "The message has exceeded the time limit for update."),
    230033: (400, "Get the reading status must be done within 7 days after the message is sent."),
    230034: (400, "The receive_id is invalid."),
    230035: (400, "Send Message Permission deny."),
    230047: (400, "Pin/Unpin message trigger message_id limit."),
    230053: (400, "The user has stopped the bot from sending messages."),
    230054: (400, "This operation is NOT supported for this message type."),
    230061: (400, "The message type does not support forwarding."),
    230064: (400, "The message to be forwarded is invalid."),
    230065: (400, "The message to be forwarded has been recalled."),
    230068: (400, "The source of the messages to be merged and forwarded are not in compliance."),
    230069: (400, "Does not support forwarding messages from different groups."),
    230071: (400, "The operator is not the sender of the message."),
    230072: (400, "The message has reached the number of times it can be edited."),
    230075: (400, "The message has exceeded the time that can be edited."),
    230099: (400, "Failed to create card content"),
    230110: (400, "Action unavailable as the message has been deleted."),
    # reactions
    231001: (400, "reaction type is invalid."),
    231002: (400, "The operator has no permission to react on the specific message."),
    231003: (400, "The message is not found, maybe not exist or deleted."),
    231007: (400, "The operator has no permission to delete this reaction."),
    231010: (400, "The reaction does not belong to the message."),
    231011: (400, "The request has an invalid reaction_id."),
    231012: (400, "The request has an invalid pageToken."),
    231014: (400, "user_id_type is invalid."),
    # chats and files
    232009: (400, "Your request specifies a chat which has already been dissolved."),
    234001: (400, "Invalid request param."),
    234003: (400, "File not in message."),
    234004: (400, "App not in chat."),
    234005: (400, "File has been deleted."),
    234006: (400, "The file size exceeds the max value."),
    234007: (400, "Bot ability is not activated."),
    234010: (400, "File's size can't be 0."),
    234011: (400, "The image type is not supported."),
    234043: (400, "Unsupported message type."),
    # contact and chats
    40001: (400, "param error"),
    40004: (403, "no dept authority error"),
    40011: (400, "page size is invalid"),
    40012: (400, "page token is invalid error"),
    40015: (400, "department not exist"),
    44102: (400, "miss department_id error"),
    48001: (400, "invalid param"),
    41012: (400, "user id invalid error"),
    41050: (400, "no user authority error"),
    232001: (400, "Your request contains an invalid request parameter."),
    232002: (
        400,
        "No Permission: Only chat owner or admin can edit chat information in the current situation.",
    ),
    232006: (400, "Your request specifies a chat_id which is invalid."),
    232011: (400, "Operator can NOT be out of the chat."),
    232012: (400, "New chat owner can NOT be out of the chat."),
    232014: (
        400,
        "The token used in the request does NOT have the permissions necessary to complete the request.",
    ),
    232016: (400, "Non-chat-owner or Non-chat-admin can only edit certain parts."),
    232017: (
        400,
        "No Permission: If the operator is NOT owner or creator with the scope, it can NOT complete the request.",
    ),
    232020: (400, "Name can NOT be less than two characters for public chats."),
    232021: (400, "Bot can NOT be found."),
    232022: (400, "User has already resigned."),
    232025: (400, "Bot ability is not activated."),
    232027: (400, "There are no valid members in the ID list specified in your request."),
    232030: (400, "Your request specifies a user_id which is invalid."),
    232035: (400, "Your request specifies an owner_id which is invalid."),
    232041: (400, "The avatar key is illegal."),
    232042: (400, "Public group chat's name should not be empty."),
    232043: (400, "Your request contains unavailable ids."),
    232076: (400, "Can't kick chat owner."),
    # application
    210508: (400, "insufficient permission level"),
    211002: (400, "no such version_id"),
    # hire
    1002001: (500, "system error"),
    1002002: (400, "invalid parameter"),
    1002551: (400, "user not found"),
    1002552: (400, "more than one user found"),
    1002553: (400, "referral account does not exist"),
    1002555: (400, "referral account is deactivated"),
}


def parse_json(raw: str | bytes, *, parse_constant: Callable[[str], object] | None = None) -> object:
    r"""The value of a JSON text, from which UTF-8 can be made.

    Raises ValueError for a text that is not JSON, and for half a surrogate pair such as the escape \ud800.
    RecursionError if it is nested too deeply.
    """
    text = raw.decode(json.detect_encoding(raw)) if isinstance(raw, bytes) else raw
    value: object = json.loads(text, parse_constant=parse_constant)
    if not text.isascii() or "\\ud" in text.lower():
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError("a text has half a surrogate pair, which is no character") from error
    return value


async def read_json_object(request: web.Request) -> JsonObject:
    """The JSON object of a body; {} for any other body."""
    try:
        body = parse_json(await request.read())
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


class RefusedError(Exception):
    """The call is answered with an error code instead of data.

    code: a key of `STATUS_AND_MESSAGE`. detail: text after the message. headers: more headers of the answer.
    error: more members of the `error` object of the answer. members: members of the answer itself, for calls that
    answer errors in another form.
    """

    def __init__(
        self,
        code: int,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        error: JsonObject | None = None,
        members: JsonObject | None = None,
    ) -> None:
        self.code = code
        self.http_status, message = STATUS_AND_MESSAGE[code]
        self.msg = f"{message} {detail}".strip() if code != 230099 else f"{message}, {detail}"
        self.headers = dict(headers or {})
        self.error = dict(error or {})
        self.members = dict(members or {})
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
