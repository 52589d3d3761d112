"""The calls of Feishu Hire that import an external reward and delete it again."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from notifier.sandbox.accounts import CURRENCY_NUMBERS, add_to_balance
from notifier.sandbox.api.gateway import Api, Call
from notifier.sandbox.api.quota import PER_SECOND_10
from notifier.sandbox.error_codes import (
    JsonObject,
    RefusedError,
    bad_field,
    optional_text,
    text_field,
    wrong_type,
)
from notifier.sandbox.tenant import Account, Tenant, TenantPerson

BASE = "/open-apis/hire/v1/external_referral_rewards"
SCOPES = ("hire:external_referral_reward",)
RULE_TYPES, STAGES = range(1, 6), range(1, 4)
CONFIRMED = 2
"""The stage that adds to the balance (inferred from Feishu's name of the balance, not documented)."""


@dataclass(slots=True, kw_only=True)
class ExternalReward:
    """One imported reward."""

    reward_id: str  # decimal number as text
    external_id: str  # of the app, its idempotency key
    open_id: str  # of the referrer
    stage: int  # 1 pending, 2 confirmed, 3 paid
    points: int = 0  # of the reward
    cash: dict[str, Decimal] = field(default_factory=dict)  # by ISO currency


class ExternalRewardApi:
    """The reward calls. on_change: called with an account after its balance changed. rewards: by id, oldest first."""

    def __init__(self, tenant: Tenant, on_change: Callable[[Account], None]) -> None:
        self._tenant = tenant
        self._on_change = on_change
        self.rewards: dict[str, ExternalReward] = {}
        self._next_id = 7_100_000_000_000_000_001

    def apis(self) -> list[Api]:
        """All calls of this class."""
        one = BASE + "/{reward_id}"
        limit = PER_SECOND_10
        return [
            Api(method="POST", path=BASE, scopes=SCOPES, limits=limit, answer=self.create),
            Api(method="DELETE", path=one, scopes=SCOPES, limits=limit, answer=self.delete),
        ]

    def create(self, call: Call) -> JsonObject:
        """Imports a reward. A repeated external_id returns the first one."""
        external_id = text_field(call.body, "external_id")
        known = next((each for each in self.rewards.values() if each.external_id == external_id), None)
        if known is not None:
            return {"id": known.reward_id}
        person = self._person(call)
        if not optional_text(call.body, "application_id") and not optional_text(call.body, "talent_id"):
            raise RefusedError(1002002, "one of application_id and talent_id is required")
        _number(call.body, "rule_type", RULE_TYPES)
        points, cash = _read_bonus(call.body.get("bonus"))
        reward = ExternalReward(
            reward_id=self._new_id(),
            external_id=external_id,
            open_id=person.open_id,
            stage=_number(call.body, "stage", STAGES),
            points=points,
            cash=cash,
        )
        self.rewards[reward.reward_id] = reward
        self._apply(reward, sign=1)
        return {"id": reward.reward_id}

    def delete(self, call: Call) -> JsonObject:
        """Deletes an imported reward. What was withdrawn meanwhile stays withdrawn."""
        reward = self.rewards.pop(call.path["reward_id"], None)
        if reward is None:
            raise RefusedError(1002002, "external_referral_reward_id")
        self._apply(reward, sign=-1)
        return {}

    def _new_id(self) -> str:
        while str(self._next_id) in self.rewards:
            self._next_id += 1
        self._next_id += 1
        return str(self._next_id - 1)

    def _apply(self, reward: ExternalReward, *, sign: int) -> None:
        """Changes the balance by a confirmed reward. A person without an account has no balance yet."""
        account = next(
            (each for each in self._tenant.accounts.values() if each.open_id == reward.open_id), None
        )
        if reward.stage != CONFIRMED or account is None:
            return
        points, cash = reward.points, dict(reward.cash)
        if sign < 0:
            points = min(points, account.points)
            cash = {code: min(amount, account.cash.get(code, Decimal(0))) for code, amount in cash.items()}
        if points or any(cash.values()):
            add_to_balance(
                self._tenant,
                account,
                points=sign * points,
                cash={code: sign * amount for code, amount in cash.items()},
                reason="reward",
            )
            self._on_change(account)

    def _person(self, call: Call) -> TenantPerson:
        id_type = call.query.get("user_id_type", "open_id")
        if id_type not in ("open_id", "union_id", "user_id"):
            raise bad_field("user_id_type", "must be open_id, union_id or user_id", id_type)
        wanted = text_field(call.body, "referral_user_id")
        for person in self._tenant.people.values():
            if getattr(person, id_type) == wanted:
                return person
        raise RefusedError(1002002, "referral_user_id")


def _number(body: JsonObject, name: str, allowed: range) -> int:
    value = body.get(name)
    if value is None:
        raise bad_field(name, f"{name} is required")
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(name, value)
    if value not in allowed:
        raise RefusedError(1002002, name)
    return value


def _read_bonus(bonus: object) -> tuple[int, dict[str, Decimal]]:
    """The points and the cash of a reward. Amounts must not be negative."""
    if not isinstance(bonus, dict):
        raise bad_field("bonus", "bonus is required") if bonus is None else wrong_type("bonus", bonus)
    if _number(bonus, "bonus_type", range(1, 3)) == 1:
        return _number(bonus, "point_bonus", range(10**9)), {}
    cash = bonus.get("cash")
    if not isinstance(cash, dict):
        raise wrong_type("bonus.cash", cash)
    currency, amount = text_field(cash, "currency_type"), cash.get("amount")
    try:
        exact = Decimal(str(amount))
    except InvalidOperation:
        raise wrong_type("bonus.cash.amount", amount) from None
    if currency not in CURRENCY_NUMBERS or not exact.is_finite() or exact < 0:
        raise RefusedError(1002002, "bonus.cash")
    return 0, {currency: exact.quantize(Decimal("0.01"))}
