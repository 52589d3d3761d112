"""Sample: the people, groups and balances a fresh sandbox starts with. All of them are made up."""

from decimal import Decimal

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.tenant import Group, Tenant

PEOPLE: tuple[tuple[str, str, str, int, dict[str, str]], ...] = (
    ("lin", "林小满（示例）", "Lin Xiaoman (sample)", 120, {"CNY": "350.50"}),
    ("chen", "陈知行（示例）", "Chen Zhixing (sample)", 0, {"USD": "80.00"}),
    ("tanaka", "田中遥（示例）", "Tanaka Haruka (sample)", 40, {"JPY": "12000.00"}),
    ("zhou", "周未（示例）", "Zhou Wei (sample)", 0, {}),
)


def build_sample_tenant(settings: SandboxSettings) -> Tenant:
    tenant = Tenant(settings)
    for key, name, en_name, points, cash in PEOPLE:
        account = tenant.add_account(tenant.add_person(key, name=name, en_name=en_name).open_id)
        account.points = points
        account.cash = {currency: Decimal(amount) for currency, amount in cash.items()}
    everyone = list(tenant.people)
    for chat_id, name in (
        ("oc_sandbox_hr", "招聘奖励通知（示例）"),
        ("oc_sandbox_fallback", "奖励兜底群（示例）"),
    ):
        tenant.groups[chat_id] = Group(chat_id=chat_id, name=name, members=everyone)
    for number in range(1, settings.extra_accounts + 1):
        person = tenant.add_person(
            f"extra_{number:04d}", name=f"示例员工 {number:04d}", en_name=f"Sample Person {number:04d}"
        )
        tenant.add_account(person.open_id)
    return tenant
