"""The people, departments, groups and accounts that a fresh sandbox starts with. All are made up."""

from decimal import Decimal

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.tenant import Department, Group, Tenant

SAMPLE_DEPARTMENTS: tuple[tuple[str, str, str, str, str], ...] = (
    ("hr", "人力资源部（示例）", "People (sample)", "0", "lin"),
    ("hr_recruiting", "招聘组（示例）", "Recruiting (sample)", "hr", "tanaka"),
    ("rd", "研发部（示例）", "Engineering (sample)", "0", "chen"),
)
"""(key, name, English name, key of the department above, leader) of the departments of a fresh sandbox."""
SAMPLE_MEMBERS = {"lin": "hr", "tanaka": "hr_recruiting", "chen": "rd"}
"""The department of each sample person; the others are in the root alone."""

SAMPLE_PEOPLE: tuple[tuple[str, str, str, int, dict[str, str]], ...] = (
    ("lin", "林小满（示例）", "Lin Xiaoman (sample)", 120, {"CNY": "350.50"}),
    ("chen", "陈知行（示例）", "Chen Zhixing (sample)", 0, {"USD": "80.00"}),
    ("tanaka", "田中遥（示例）", "Tanaka Haruka (sample)", 40, {"JPY": "12000.00"}),
    ("zhou", "周未（示例）", "Zhou Wei (sample)", 0, {}),
)
"""(key, name, English name, points, cash by currency) of the people a fresh sandbox has. All are made up."""


def build_sample_tenant(settings: SandboxSettings) -> Tenant:
    """The tenant that a fresh sandbox starts with: four people, two groups, and `extra_accounts` for load."""
    tenant = Tenant(settings)
    for key, name, en_name, points, cash in SAMPLE_PEOPLE:
        person = tenant.add_person(key, name=name, en_name=en_name)
        if settings.fresh:
            continue
        account = tenant.add_account(person.open_id)
        account.points = points
        account.cash = {currency: Decimal(amount) for currency, amount in cash.items()}
    _add_sample_departments(tenant)
    everyone = list(tenant.people)
    for chat_id, name, en_name in (
        ("oc_sandbox_hr", "招聘奖励通知（示例）", "Referral rewards (sample)"),
        ("oc_sandbox_fallback", "奖励兜底群（示例）", "Fallback group (sample)"),
    ):
        tenant.groups[chat_id] = Group(
            chat_id=chat_id,
            name=name,
            en_name=en_name,
            members=list(everyone),
            has_bot=not settings.fresh,
            owner_id=everyone[0],
        )
    for number in range(1, settings.extra_accounts + 1):
        person = tenant.add_person(
            f"extra_{number:04d}", name=f"示例员工 {number:04d}", en_name=f"Sample Person {number:04d}"
        )
        tenant.add_account(person.open_id)
    return tenant


def _add_sample_departments(tenant: Tenant) -> None:
    for key, name, en_name, parent, leader in SAMPLE_DEPARTMENTS:
        tenant.departments[key] = Department(
            department_id=key,
            open_department_id=f"od-sandbox_{key}",
            name=name,
            en_name=en_name,
            parent_department_id=parent,
            leader_open_id=f"ou_sandbox_{leader}",
        )
    for person, department in SAMPLE_MEMBERS.items():
        tenant.people[f"ou_sandbox_{person}"].department_ids = [department]
