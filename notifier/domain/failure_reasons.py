"""The reason of a failed Feishu call, as people read it on cards: one text per error code, in Chinese and English.

Operators read FailureRule.meaning and Feishu's own message instead (notifier/feishu/failures.py). A card never
shows Feishu's message: it is English only and may contain names, ids and links.
"""

from collections.abc import Mapping

from notifier.domain.card import Bilingual

_OUT_OF_RANGE = Bilingual(
    zh="该成员不在应用的可用范围内，或已离职",
    en="this person is outside the app's availability range, or has resigned",
)
_INVALID_REQUEST = Bilingual(zh="通知服务发出的请求有误", en="the notifier sent an invalid request")
_INTERNAL_ERROR = Bilingual(zh="飞书内部错误", en="internal error at Feishu")
_BOT_DISABLED = Bilingual(zh="应用未启用机器人能力", en="the app's bot is switched off")
_KEY_DELETED = Bilingual(zh="企业的加密密钥已被删除", en="the organisation's encryption key was deleted")
_CARD_REFUSED = Bilingual(zh="飞书未接受卡片内容", en="Feishu did not accept the card")
_RATE_LIMITED = Bilingual(zh="消息发送过于频繁", en="too many messages were sent")
_APP_DISABLED = Bilingual(zh="应用已在企业内停用", en="the app is disabled in this organisation")
_SCOPE_MISSING = Bilingual(
    zh="应用缺少所需权限，请联系管理员", en="the app lacks a permission; contact the administrator"
)
_CREDENTIALS_INVALID = Bilingual(zh="应用凭证无效", en="the app's credentials are not valid")
_PERSON_UNKNOWN = Bilingual(zh="飞书查不到该成员", en="Feishu does not know this person")
_GROUP_UNKNOWN = Bilingual(zh="飞书查不到该群", en="Feishu does not know this group")
_MESSAGE_UNAVAILABLE = Bilingual(zh="原消息已不存在", en="the message no longer exists")
_IN_PROGRESS = Bilingual(zh="同一条消息仍在发送中", en="the same message is still being sent")
_REPLY_IMPOSSIBLE = Bilingual(zh="该消息不支持回复", en="this message cannot be replied to")
_FILE_REFUSED = Bilingual(zh="附件无法使用", en="the attached file cannot be used")

FAILURE_REASONS: Mapping[int, Bilingual] = {
    # sending messages
    230001: _INVALID_REQUEST,
    230002: Bilingual(zh="机器人不在该群中", en="the bot is not in the group"),
    230006: _BOT_DISABLED,
    230011: Bilingual(zh="原消息已被撤回", en="the message was recalled"),
    230013: _OUT_OF_RANGE,
    230015: _INVALID_REQUEST,
    230017: _FILE_REFUSED,
    230018: Bilingual(zh="群设置不允许机器人发言", en="the group's settings do not allow the bot to post"),
    230019: Bilingual(zh="话题不存在", en="the topic does not exist"),
    230020: _RATE_LIMITED,
    230022: Bilingual(zh="内容未通过飞书的敏感信息审核", en="Feishu classified the content as sensitive"),
    230025: Bilingual(zh="消息内容过长", en="the content is too long"),
    230027: _SCOPE_MISSING,
    230028: Bilingual(
        zh="内容未通过企业的数据防泄漏审核", en="the organisation's data-loss check rejected the content"
    ),
    230029: Bilingual(zh="该成员已离职", en="this person has resigned"),
    230031: Bilingual(zh="原消息已超过十四天，无法更新", en="the message is older than 14 days"),
    230034: Bilingual(zh="接收人或群的标识无效", en="the id of the person or group is not valid"),
    230035: Bilingual(
        zh="群已禁言，或该成员已屏蔽机器人", en="the group is muted, or this person has blocked the bot"
    ),
    230036: _KEY_DELETED,
    230038: Bilingual(zh="该成员不属于本企业", en="this person belongs to another organisation"),
    230049: _IN_PROGRESS,
    230050: Bilingual(zh="机器人看不到原消息", en="the bot cannot see the message"),
    230053: Bilingual(zh="该成员已停用机器人", en="this person has stopped the bot"),
    230054: Bilingual(zh="对方不支持接收这类消息", en="this kind of message is not supported there"),
    230055: _FILE_REFUSED,
    230071: _REPLY_IMPOSSIBLE,
    230072: _REPLY_IMPOSSIBLE,
    230075: Bilingual(zh="机器人不能在密聊中发言", en="bots cannot post in a secret chat"),
    230099: _CARD_REFUSED,
    230110: Bilingual(zh="原消息已被删除", en="the message was deleted"),
    230111: Bilingual(zh="原消息即将自动销毁", en="the message is about to be deleted automatically"),
    232009: Bilingual(zh="该群已解散", en="the group was dissolved"),
    18121: _IN_PROGRESS,
    11232: _RATE_LIMITED,
    11233: _RATE_LIMITED,
    # uploading a file
    234001: _INVALID_REQUEST,
    234002: _SCOPE_MISSING,
    234006: Bilingual(zh="附件超过飞书的大小限制", en="the attached file exceeds Feishu's size limit"),
    234007: _BOT_DISABLED,
    234010: Bilingual(zh="附件为空", en="the attached file is empty"),
    234041: _KEY_DELETED,
    234042: Bilingual(zh="企业的存储空间已满", en="the organisation's storage is full"),
    232096: Bilingual(zh="飞书暂时无法接收文件", en="Feishu currently accepts no files"),
    # updating a card
    11310: _CARD_REFUSED,
    11311: _CARD_REFUSED,
    # generic
    99991400: Bilingual(zh="应用调用过于频繁", en="the app calls Feishu too often"),
    99991401: Bilingual(
        zh="服务器地址不在应用的白名单中", en="the server's address is not on the app's allow-list"
    ),
    99991403: Bilingual(zh="企业本月的调用额度已用完", en="the organisation's monthly call quota is used up"),
    99991661: _CREDENTIALS_INVALID,
    99991663: _CREDENTIALS_INVALID,
    99991664: _CREDENTIALS_INVALID,
    99991665: _CREDENTIALS_INVALID,
    99991668: _CREDENTIALS_INVALID,
    99991677: _CREDENTIALS_INVALID,
    99991671: _CREDENTIALS_INVALID,
    99991672: _SCOPE_MISSING,
    99991673: Bilingual(zh="应用在企业内不可用", en="the app is not available in this organisation"),
    99991662: _APP_DISABLED,
    99991676: _SCOPE_MISSING,
    99991679: Bilingual(zh="需要成员先授权", en="a member must give consent first"),
    99992351: _PERSON_UNKNOWN,
    99992354: _MESSAGE_UNAVAILABLE,
    99992356: _GROUP_UNKNOWN,
    99992361: Bilingual(zh="成员标识属于其他应用", en="the person's id belongs to another app"),
    99992402: _INVALID_REQUEST,
    9499: _INVALID_REQUEST,
    1500: _INTERNAL_ERROR,
    2200: _INTERNAL_ERROR,
    5000: _INTERNAL_ERROR,
    10003: _CREDENTIALS_INVALID,
    10014: Bilingual(zh="应用已停用，或应用凭证无效", en="the app is disabled, or its secret is not valid"),
    10015: _CREDENTIALS_INVALID,
    41050: Bilingual(zh="该成员不在应用的通讯录范围内", en="this person is outside the app's contact range"),
    40003: _INTERNAL_ERROR,
    # chats
    232001: _INVALID_REQUEST,
    232004: Bilingual(zh="飞书查不到该应用", en="Feishu does not know this app"),
    232006: Bilingual(zh="群的标识无效", en="the id of the group is not valid"),
    232010: Bilingual(zh="该群不属于本企业", en="the group belongs to another organisation"),
    232025: _BOT_DISABLED,
    232033: Bilingual(zh="该群是外部群", en="the group is an external one"),
    232034: Bilingual(zh="应用未安装到本企业", en="the app is not installed in this organisation"),
    # hire
    1002001: _INTERNAL_ERROR,
    1020001: _INTERNAL_ERROR,
    1002002: _INVALID_REQUEST,
    1002553: Bilingual(zh="飞书查不到该内推账户", en="Feishu knows no such referral account"),
    1002555: Bilingual(zh="内推账户已停用", en="the referral account is deactivated"),
}
"""By Feishu's error code. The codes are those of FAILURE_RULES; a test compares them.

Each text completes "Reason: …" (原因：…): a short clause without a full stop.
"""


def find_failure_reason(code: int | None) -> Bilingual | None:
    """Return the text for an error code, or None if the code is missing or not in the table."""
    return None if code is None else FAILURE_REASONS.get(code)
