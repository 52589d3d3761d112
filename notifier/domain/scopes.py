"""Scopes: which permission of the Feishu app each feature needs. Checks, error texts and the README use this table."""

from enum import StrEnum


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
    WITHDRAW = "withdraw"
    """The withdraw button."""
    FILES = "files"
    """Files of digests."""
    PEOPLE = "people"
    """People found by e-mail address or mobile number: `notifier people find`, and operators written as addresses."""


SCOPES: dict[Feature, str] = {
    Feature.RECEIVE: "hire:referral_account:readonly",
    Feature.SEND: "im:message:send_as_bot",
    Feature.GROUPS: "im:chat:readonly",
    Feature.OPERATORS: "im:chat.members:read",
    Feature.WITHDRAW: "hire:referral_account",
    Feature.FILES: "im:resource",
    Feature.PEOPLE: "contact:user.id:readonly",
}
"""The scope of each feature. Source: the pages of the calls, read 2026-05."""
