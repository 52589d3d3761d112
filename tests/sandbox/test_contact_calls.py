"""The calls that read people, departments and the app, made with the official SDK."""

from collections.abc import Iterator
from typing import Any

import pytest

from notifier.sandbox.settings import DEFAULT_SCOPES
from sandbox.clients import api
from sandbox.sdk_client import SdkClient, sdk_client

LIN, TANAKA, ZHOU = "ou_sandbox_lin", "ou_sandbox_tanaka", "ou_sandbox_zhou"
HR, RECRUITING, RD = "od-sandbox_hr", "od-sandbox_hr_recruiting", "od-sandbox_rd"


@pytest.fixture(scope="module")
def sdk() -> Iterator[SdkClient]:
    with sdk_client() as client:
        yield client


def ids(page: Any, name: str = "open_id") -> list[str]:
    return [getattr(one, name) for one in page.items]


@pytest.mark.parametrize("department, people", [("0", [ZHOU]), (HR, [LIN]), (RECRUITING, [TANAKA])])
def test_the_people_of_a_department_are_those_directly_in_it(
    sdk: SdkClient, department: str, people: list[str]
) -> None:
    assert people == ids(sdk.data("contact.v3.user.find_by_department", department_id=department))


def test_people_by_id_have_their_departments(sdk: SdkClient) -> None:
    found = sdk.data("contact.v3.user.batch", user_ids=[LIN, "ou_nobody"], department_id_type="department_id")
    assert [(LIN, ["hr"])] == [(one.open_id, one.department_ids) for one in found.items]
    assert [HR] == sdk.data("contact.v3.user.get", user_id=LIN).user.department_ids
    assert {LIN, TANAKA, ZHOU} < set(ids(sdk.data("contact.v3.user.list", page_size=50)))


def test_departments_and_those_above_and_below(sdk: SdkClient) -> None:
    found = sdk.data(
        "contact.v3.department.get", department_id="hr", department_id_type="department_id"
    ).department
    shown = (found.name, found.parent_department_id, found.member_count, found.leader_user_id)
    assert ("人力资源部（示例）", "0", 2, LIN) == shown
    department = "open_department_id"
    assert [HR, RD] == ids(sdk.data("contact.v3.department.children", department_id="0"), department)
    below = sdk.data("contact.v3.department.children", department_id="0", fetch_child=True)
    assert [HR, RD, RECRUITING] == ids(below, department)
    assert [RECRUITING] == ids(sdk.data("contact.v3.department.list", parent_department_id=HR), department)
    assert [HR] == ids(sdk.data("contact.v3.department.parent", department_id=RECRUITING), department)
    batch = sdk.data("contact.v3.department.batch", department_ids=[RD, "od-unknown"])
    assert [RD] == ids(batch, department)


def test_the_contact_range_lists_the_first_level(sdk: SdkClient) -> None:
    found = sdk.data("contact.v3.scope.list", page_size=2)

    assert ([ZHOU], [HR], True) == (found.user_ids, found.department_ids, found.has_more)
    rest = sdk.data("contact.v3.scope.list", page_size=2, page_token=found.page_token)
    assert ([], [RD], False) == (rest.user_ids, rest.department_ids, rest.has_more)


def test_pages_of_people_and_departments_have_limits_of_their_own(sdk: SdkClient) -> None:
    assert 40011 == sdk.code("contact.v3.user.find_by_department", department_id="0", page_size=51)
    assert 40012 == sdk.code("contact.v3.user.find_by_department", department_id="0", page_token="x")
    assert 40011 == sdk.code("contact.v3.department.children", department_id="0", page_size=51)


def test_unknown_departments_and_an_empty_contact_range(sdk: SdkClient) -> None:
    assert 40015 == sdk.code("contact.v3.department.get", department_id="od-unknown")
    assert 44102 == api(sdk.box, "GET", "/contact/v3/departments/parent").code
    fault = sdk.box.start_fault("setup:contact_range_empty")
    codes = [
        sdk.code("contact.v3.user.find_by_department", department_id="0"),
        sdk.code("contact.v3.department.children", department_id="0"),
    ]
    nothing = sdk.data("contact.v3.scope.list")
    sdk.box.end_fault(fault)
    assert ([40004, 40004], [], []) == (codes, nothing.user_ids, nothing.department_ids)


def test_the_name_of_a_department_needs_its_scope(sdk: SdkClient) -> None:
    sdk.box.set_scopes(DEFAULT_SCOPES - {"contact:department.base:readonly"})
    found = sdk.data("contact.v3.department.get", department_id=HR).department
    sdk.box.set_scopes(DEFAULT_SCOPES)

    assert (HR, None) == (found.open_department_id, found.name)


def test_the_app_reads_itself_and_no_other(sdk: SdkClient) -> None:
    app = sdk.data("application.v6.application.get", app_id="me", lang="zh_cn").app
    assert sdk.box.app_id == app.app_id
    assert DEFAULT_SCOPES == {one.scope for one in app.scopes}
    (version,) = sdk.data("application.v6.application_app_version.list", app_id="me", lang="zh_cn").items
    one = {"app_id": sdk.box.app_id, "version_id": version.version_id, "lang": "zh_cn"}
    assert (
        version.version_id
        == sdk.data("application.v6.application_app_version.get", **one).app_version.version_id
    )
    tenant = sdk.data("tenant.v2.tenant.query").tenant
    assert sdk.box.settings.tenant_key == tenant.tenant_key
    assert 210508 == sdk.code("application.v6.application.get", app_id="cli_other", lang="zh_cn")
    assert 99992402 == sdk.code("application.v6.application.get", app_id="me")
