"""The operators of the groups: open_ids, and e-mail addresses that must be resolved before anybody may act."""

from dataclasses import dataclass, field

from notifier.config.sections import OPEN_ID, GroupConfig
from notifier.config.settings import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorEmail:
    """An operator that is written as an e-mail address. key: its place in the configuration."""

    key: str
    group: str
    email: str = field(repr=False)


def get_open_ids(group: GroupConfig) -> tuple[str, ...]:
    """The operators of a group that are written as open_ids."""
    return tuple(each for each in group.operators if OPEN_ID.fullmatch(each))


def list_operator_emails(config: Config) -> list[OperatorEmail]:
    """The operators of all groups that are written as e-mail addresses."""
    return [
        OperatorEmail(key=f"groups.{name}.operators[{index}]", group=name, email=each)
        for name, group in config.groups.items()
        for index, each in enumerate(group.operators)
        if not OPEN_ID.fullmatch(each)
    ]
