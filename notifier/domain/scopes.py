"""Scopes and menus of Feishu's developer console: which permission each feature needs, and the names of both.

Checks, error texts, `notifier init` and the READMEs use these tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from notifier.domain.card import Bilingual


class Feature(StrEnum):
    """A feature that needs permissions of the app."""

    RECEIVE = "receive"
    """Events, and reads of accounts."""
    SEND = "send"
    """Cards to people and groups."""
    GROUPS = "groups"
    """Checks of the groups of the configuration."""
    OPERATORS = "operators"
    """The check that operators are members of their group."""
    REGISTER = "register"
    """Registration of referrers. A service can do without if another program registers them for the same app."""
    WITHDRAW = "withdraw"
    """The withdraw button."""
    FILES = "files"
    """Files of digests."""
    PEOPLE = "people"
    """People found by e-mail address or mobile number: `notifier people find`, and operators written as addresses."""
    QUESTIONS = "questions"
    """Messages that people write to the bot in its private chat. A service can do without."""
    GROUP_QUESTIONS = "group_questions"
    """Messages in a group that mention the bot. A service can do without."""
    TEST_REWARDS = "test_rewards"
    """Rewards of a test app: `notifier try`."""


SCOPES: dict[Feature, str] = {
    Feature.RECEIVE: "hire:referral_account:readonly",
    Feature.SEND: "im:message:send_as_bot",
    Feature.GROUPS: "im:chat:readonly",
    Feature.OPERATORS: "im:chat.members:read",
    Feature.REGISTER: "hire:referral_account",
    Feature.WITHDRAW: "hire:referral_account",
    Feature.FILES: "im:resource",
    Feature.PEOPLE: "contact:user.id:readonly",
    Feature.QUESTIONS: "im:message.p2p_msg:readonly",
    Feature.GROUP_QUESTIONS: "im:message.group_at_msg:readonly",
    Feature.TEST_REWARDS: "hire:external_referral_reward",
}
"""The scope of each feature. Source: the pages of the calls, read 2026-05."""

RECOMMENDED = frozenset({Feature.QUESTIONS, Feature.GROUP_QUESTIONS})
"""Without their scopes everything else works."""

SCOPE_NAMES: Mapping[str, Bilingual] = {
    "hire:referral_account:readonly": Bilingual(
        zh="获取内推账户信息", en="Obtain referral account information"
    ),
    "im:message:send_as_bot": Bilingual(zh="以应用的身份发消息", en="Send messages as an app"),
    "im:chat:readonly": Bilingual(zh="获取群组信息", en="Obtain group information"),
    "im:chat.members:read": Bilingual(zh="查看群成员", en="View group members"),
    "hire:referral_account": Bilingual(zh="更新内推账户信息", en="Update referral account"),
    "im:resource": Bilingual(zh="获取与上传图片或文件资源", en="Obtain and upload image or file resources"),
    "contact:user.id:readonly": Bilingual(
        zh="通过手机号或邮箱获取用户 ID", en="Obtain user ID via email or mobile number"
    ),
    "im:message.p2p_msg:readonly": Bilingual(
        zh="读取用户发给机器人的单聊消息", en="Read private messages sent to the bot"
    ),
    "im:message.group_at_msg:readonly": Bilingual(
        zh="接收群聊中@机器人消息事件", en="Obtain group messages mentioning the bot"
    ),
}
"""The names of the scopes in the developer console. Source: the pages of the calls, read 2026-05. The page of external
rewards gives no name."""


SCOPES_MENU = Bilingual(zh="权限管理", en="Permissions & Scopes")
EVENTS_MENU = Bilingual(zh="事件与回调 › 事件配置", en="Events & Callbacks › Event Configuration")
CALLBACKS_MENU = Bilingual(zh="事件与回调 › 回调配置", en="Events & Callbacks › Callback Configuration")
VERSION_MENU = Bilingual(zh="版本管理与发布", en="Version Management & Release")
BOT_MENU = Bilingual(zh="添加应用能力 › 机器人", en="Add Features › Bot")
CREDENTIALS_MENU = Bilingual(zh="凭证与基础信息", en="Credentials & Basic Info")
SECURITY_MENU = Bilingual(zh="安全设置 › IP 白名单", en="Security Settings › IP Allowlist")
"""The names of the menus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureUse:
    """What a configuration uses of Feishu."""

    has_groups: bool
    """Whether it has groups."""
    has_operators: bool
    """Whether a group has operators."""
    finds_people: bool
    """Whether people are found by e-mail address, such as operators that are written as one."""
    offers_withdrawals: bool
    """Whether cards have the withdraw button."""
    sends_files: bool
    """Whether a digest may have a file."""
    answers_questions: bool
    """Whether messages to the bot are answered."""
    is_test: bool
    """Whether the app is a test app."""


def list_needed_features(use: FeatureUse) -> list[Feature]:
    """Return the features that a configuration needs, one per scope, in the order of the table.

    The scope that registers referrers is always listed: as WITHDRAW, which cannot do without it, or as REGISTER.
    """
    needed = {
        Feature.RECEIVE: True,
        Feature.SEND: True,
        Feature.GROUPS: use.has_groups,
        Feature.OPERATORS: use.has_operators,
        Feature.REGISTER: not use.offers_withdrawals,
        Feature.WITHDRAW: use.offers_withdrawals,
        Feature.FILES: use.sends_files,
        Feature.PEOPLE: use.finds_people,
        Feature.QUESTIONS: use.answers_questions,
        Feature.GROUP_QUESTIONS: use.answers_questions and use.has_groups,
        Feature.TEST_REWARDS: use.is_test,
    }
    return [feature for feature in Feature if needed[feature]]


def get_scope_name(scope: str) -> Bilingual:
    """Return the name of a scope in the developer console; its id if the table has no name."""
    return SCOPE_NAMES.get(scope, Bilingual(zh=scope, en=scope))
