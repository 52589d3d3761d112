"""External referral rewards in Feishu Hire: the way to change a balance on a test app.

Source: hire-v1 external_referral_reward pages, read 2026-05. Limit: 10 calls a second. Not confirmed on a tenant: the
name of the id in the response, and that only a confirmed reward adds to the balance.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import quote

from notifier.domain.money import Asset, Kind
from notifier.domain.scopes import SCOPES, Feature
from notifier.errors import OutcomeUnknown
from notifier.feishu.api import FeishuApi

PATH = "/open-apis/hire/v1/external_referral_rewards"
SCOPE = SCOPES[Feature.TEST_REWARDS]
OTHER_RULE, CONFIRMED = 5, 2
"""rule_type and stage."""
POINTS_BONUS, CASH_BONUS = 1, 2
"""bonus_type."""
ID_NAMES = ("id", "external_referral_reward_id", "reward_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReward:
    """A reward to import."""

    external_id: str
    """Idempotency key, chosen by the caller."""
    referrer_open_id: str
    """Who gets it."""
    asset: Asset
    """Points, or cash in a currency."""
    amount: Decimal
    """How much."""
    application_id: str = ""
    """The application that the reward is for. Feishu requires this or talent_id."""
    talent_id: str = ""
    """The candidate that the reward is for."""


async def import_reward(api: FeishuApi, reward: NewReward) -> str:
    """Import a confirmed reward. Returns its id in Feishu. A repeat with the same external_id creates no second one.

    Raises CallError; OutcomeUnknown also if the response names no id.
    """
    about = {"application_id": reward.application_id, "talent_id": reward.talent_id}
    body = {
        "referral_user_id": reward.referrer_open_id,
        "external_id": reward.external_id,
        **{name: value for name, value in about.items() if value},
        "rule_type": OTHER_RULE,
        "bonus": _bonus(reward),
        "stage": CONFIRMED,
        "reason": "notifier try reward",
    }
    response = await api.call("POST", PATH, query={"user_id_type": "open_id"}, body=body)
    found = _find_id(response.data)
    if not found:
        raise OutcomeUnknown("the response to the import names no reward", log_id=response.log_id)
    return found


async def delete_reward(api: FeishuApi, reward_id: str) -> None:
    """Delete an imported reward, also a confirmed or paid one. Raises CallError."""
    await api.call("DELETE", f"{PATH}/{quote(reward_id, safe='')}")


def _bonus(reward: NewReward) -> Mapping[str, object]:
    if reward.asset.kind is Kind.POINTS:
        return {"bonus_type": POINTS_BONUS, "point_bonus": int(reward.amount)}
    return {
        "bonus_type": CASH_BONUS,
        "cash": {"currency_type": reward.asset.currency, "amount": float(reward.amount)},
    }


def _find_id(data: Mapping[str, object]) -> str:
    """The id of the reward, directly in `data` or in an object of it."""
    inner = data.get("external_referral_reward")
    for place in (data, inner if isinstance(inner, dict) else {}):
        for name in ID_NAMES:
            value = place.get(name)
            if isinstance(value, str | int) and not isinstance(value, bool) and str(value):
                return str(value)
    return ""
