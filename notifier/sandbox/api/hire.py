"""The referral account calls of Feishu Hire."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from notifier.sandbox.accounts import add_to_balance, assets, cash_bonus
from notifier.sandbox.api.gateway import Api, Call
from notifier.sandbox.api.quota import PER_MINUTE_100, PER_SECOND_10
from notifier.sandbox.error_codes import JsonObject, RefusedError, bad_field, text_field, wrong_type
from notifier.sandbox.tenant import DEACTIVATED, USABLE, Account, PersonStatus, Tenant, TenantPerson

BASE = "/open-apis/hire/v1/referral_account"
WRITE = ("hire:referral_account",)
READ = ("hire:referral_account", "hire:referral_account:readonly")
POINTS, CASH = 1, 2  # withdraw_bonus_type


@dataclass(slots=True, kw_only=True)
class BookedOrder:
    """One completed withdrawal."""

    external_order_id: str  # the order id of the app, its idempotency key
    account_id: str  # of the referrer
    kinds: frozenset[int]  # POINTS, CASH
    points: int  # withdrawn points
    cash: dict[str, Decimal]  # by ISO currency
    at_ms: int  # milliseconds since 1970 of the sandbox clock
    answer: JsonObject  # `data` of the first answer, returned again for a repeated request
    request_count: int = 1  # requests with this order id


class ReferralAccountApi:
    """The referral account calls.

    on_change: called with an account after a withdrawal changed its balance. orders: by order id, oldest first.
    """

    def __init__(self, tenant: Tenant, on_change: Callable[[Account], None]) -> None:
        self._tenant = tenant
        self._on_change = on_change
        self.orders: dict[str, BookedOrder] = {}

    def apis(self) -> list[Api]:
        """All calls of this class."""
        one = BASE + "/{account_id}"
        minute, second = PER_MINUTE_100, PER_SECOND_10
        return [
            Api(method="POST", path=BASE, scopes=WRITE, limits=minute, answer=self.create),
            Api(method="POST", path=BASE + "/enable", scopes=WRITE, limits=second, answer=self.enable),
            Api(
                method="GET", path=BASE + "/get_account_assets", scopes=READ, limits=second, answer=self.read
            ),
            Api(method="POST", path=one + "/deactivate", scopes=WRITE, limits=minute, answer=self.deactivate),
            Api(method="POST", path=one + "/withdraw", scopes=WRITE, limits=minute, answer=self.withdraw),
        ]

    def create(self, call: Call) -> JsonObject:
        """Registers a person. Feishu does not document a repeated call: it returns the existing account, or an error.

        `SandboxSettings.repeated_create_refused` chooses.
        """
        person = self._person(call.body)
        existing = [
            account for account in self._tenant.accounts.values() if account.open_id == person.open_id
        ]
        if existing and self._tenant.settings.repeated_create_refused:
            raise RefusedError(1002002, "the user has a referral account")
        return {"account": _account(existing[0] if existing else self._tenant.add_account(person.open_id))}

    def enable(self, call: Call) -> JsonObject:
        """Makes a deactivated account usable again."""
        account = self._account(text_field(call.body, "referral_account_id"))
        account.status = USABLE
        return {"account": _account(account)}

    def deactivate(self, call: Call) -> JsonObject:
        """Deactivates an account; it gets no events and no withdrawals."""
        account = self._account(call.path["account_id"])
        account.status = DEACTIVATED
        return {"account": _account(account)}

    def read(self, call: Call) -> JsonObject:
        """get_account_assets: balance, status and referrer of an account."""
        account_id = call.query.get("referral_account_id", "")
        id_type = call.query.get("user_id_type", "open_id")
        if not account_id:
            raise bad_field("referral_account_id", "referral_account_id is required")
        if id_type not in ("open_id", "union_id", "user_id"):
            raise bad_field("user_id_type", "must be open_id, union_id or user_id", id_type)
        account = self._account(account_id)
        person = self._tenant.people[account.open_id]
        referrer: JsonObject = {
            "id": getattr(person, id_type),
            "name": {"zh_cn": person.name, "en_us": person.en_name},
        }
        for scope, name in (
            ("hire:employee.email:readonly", "email"),
            ("hire:employee.mobile:readonly", "mobile"),
        ):
            if scope in self._tenant.granted_scopes:
                referrer[name] = getattr(person, name)
        return {"account": {**_account(account), "referrer": referrer}}

    def withdraw(self, call: Call) -> JsonObject:
        """Withdraws the whole balance of the chosen kinds. A repeated order id returns the original order.

        An order id of another account is refused (Feishu does not document this; our choice).
        """
        order_id = text_field(call.body, "external_order_id")
        account = self._account(call.path["account_id"])
        known = self.orders.get(order_id)
        if known is not None:
            if known.account_id != account.account_id:
                raise RefusedError(1002002, "external_order_id belongs to another account")
            known.request_count += 1
            return known.answer
        kinds = _kinds(call.body)
        if account.status != USABLE:
            raise RefusedError(1002555)
        order = self.orders[order_id] = self._withdraw_all(account, order_id, kinds)
        return order.answer

    def _withdraw_all(self, account: Account, order_id: str, kinds: frozenset[int]) -> BookedOrder:
        points = account.points if POINTS in kinds else 0
        cash = {code: amount for code, amount in account.cash.items() if amount and CASH in kinds}
        if not points and not cash and self._tenant.settings.empty_withdrawal_refused:
            raise RefusedError(1002002, "nothing to withdraw")
        add_to_balance(
            self._tenant,
            account,
            points=-points,
            cash={code: -amount for code, amount in cash.items()},
            reason="withdrawal",
            reference=order_id,
        )
        if (points or cash) and self._tenant.settings.withdrawal_emits_event:
            self._on_change(account)
        at_ms = self._tenant.clock.now_ms()
        details = {"point_bonus": points, "cash_bonus": cash_bonus(cash, account.currency_form)}
        return BookedOrder(
            external_order_id=order_id,
            account_id=account.account_id,
            kinds=kinds,
            points=points,
            cash=cash,
            at_ms=at_ms,
            answer={
                "external_order_id": order_id,
                "trans_time": str(at_ms),
                "withdrawal_details": details,
            },
        )

    def _account(self, account_id: str) -> Account:
        account = self._tenant.accounts.get(account_id)
        if account is None:
            raise RefusedError(1002553)
        return account

    def _person(self, body: JsonObject) -> TenantPerson:
        """Finds a person by e-mail address, by mobile {code, number}, or by both.

        Raises 1002002 without either, 1002551 for nobody, 1002552 for several people.
        """
        email, mobile = body.get("email"), body.get("mobile")
        if email is not None and not isinstance(email, str):
            raise wrong_type("email", email)
        if mobile is not None and not isinstance(mobile, dict):
            raise wrong_type("mobile", mobile)
        if not email and not mobile:
            raise RefusedError(1002002, "one of mobile and email is required")
        full_mobile = _full_mobile(mobile) if mobile else None
        found = [
            person
            for person in self._tenant.people.values()
            if (email and person.email == email) or (full_mobile and person.mobile == full_mobile)
        ]
        employed = [person for person in found if person.status is not PersonStatus.RESIGNED]
        if not employed:
            raise RefusedError(1002551)
        if len(employed) > 1:
            raise RefusedError(1002552)
        return employed[0]


def _full_mobile(mobile: JsonObject) -> str:
    code, number = mobile.get("code"), mobile.get("number")
    for name, value in (("mobile.code", code), ("mobile.number", number)):
        if not isinstance(value, str):
            raise wrong_type(name, value)
        if not value.isdecimal():
            raise RefusedError(1002002, f"{name} must have digits only")
    return f"+{code}{number}"


def _kinds(body: JsonObject) -> frozenset[int]:
    kinds = body.get("withdraw_bonus_type")
    if kinds is None:
        raise bad_field("withdraw_bonus_type", "withdraw_bonus_type is required")
    if not isinstance(kinds, list) or any(
        isinstance(kind, bool) or not isinstance(kind, int) for kind in kinds
    ):
        raise wrong_type("withdraw_bonus_type", kinds)
    if not kinds or not set(kinds) <= {POINTS, CASH}:
        raise RefusedError(1002002, "withdraw_bonus_type")
    return frozenset(kinds)


def _account(account: Account) -> JsonObject:
    return {"account_id": account.account_id, "assets": assets(account), "status": account.status}
