"""The calls that read departments, and functions that find departments and their people."""

from typing import Any

from notifier.sandbox.api.gateway import Api, Call
from notifier.sandbox.api.parameters import one_page, user_id_type
from notifier.sandbox.api.quota import MESSAGES
from notifier.sandbox.api.tokens import TENANT, USER
from notifier.sandbox.error_codes import JsonObject, RefusedError, bad_field, text_field
from notifier.sandbox.tenant import ROOT_DEPARTMENT, Department, PersonStatus, Tenant, TenantPerson

SCOPES = (
    "contact:contact.base:readonly",
    "contact:department.base:readonly",
    "contact:department.organize:readonly",
    "contact:contact:access_as_app",
    "contact:contact:readonly_as_app",
)
DEPARTMENTS_PER_BATCH = 50
ONE_DEPARTMENT = "/{department_id:(?!(?:batch|parent|search)/?$)[^/]+}"
"""An id, and not the name of another call."""
PAGES: Any = {"maximum": 50, "bad_size_code": 40011, "bad_token_code": 40012}


class DepartmentApi:
    """The calls that read departments."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def apis(self) -> list[Api]:
        """All calls of this class."""
        base = "/open-apis/contact/v3/departments"
        get: Any = {"method": "GET", "limits": MESSAGES, "scopes": SCOPES, "tokens": (TENANT, USER)}
        notes = "without units, HRBP and the group of the department"
        children = base + ONE_DEPARTMENT + "/children"
        return [
            Api(path=base, answer=self.list_departments, notes=notes, **get),
            Api(path=base + "/batch", answer=self.batch, notes=notes, **get),
            Api(path=base + "/parent", answer=self.parents, notes=notes, **get),
            Api(path=children, answer=self.children, notes=notes, **get),
            Api(path=base + ONE_DEPARTMENT, answer=self.department, notes=notes, **get),
            Api(
                method="POST",
                path=base + "/search",
                limits=MESSAGES,
                scopes=(*SCOPES, "search:department:read"),
                tokens=(USER,),
                answer=self.search,
                notes=notes,
            ),
        ]

    def department(self, call: Call) -> JsonObject:
        """One department. The root has the name of the tenant."""
        return {
            "department": self._json(find_department(self._tenant, call.path["department_id"], call), call)
        }

    def batch(self, call: Call) -> JsonObject:
        """Several departments. Unknown ids are left out."""
        wanted = call.query_lists.get("department_ids", ())
        if not 1 <= len(wanted) <= DEPARTMENTS_PER_BATCH:
            raise RefusedError(40001, f"from 1 to {DEPARTMENTS_PER_BATCH} department_ids")
        self._check_range()
        id_type = _department_id_type(call)
        found = [
            one.department_id
            for each in wanted
            for one in self._tenant.departments.values()
            if getattr(one, id_type) == each
        ]
        return {"items": [self._json(one, call) for one in found]}

    def children(self, call: Call) -> JsonObject:
        """The departments below one; with `fetch_child` also those below them."""
        return self._below(call.path["department_id"], call)

    def list_departments(self, call: Call) -> JsonObject:
        """The departments below one, by default below the root; with `fetch_child` also those below them."""
        return self._below(call.query.get("parent_department_id") or ROOT_DEPARTMENT, call)

    def _below(self, wanted: str, call: Call) -> JsonObject:
        parent = find_department(self._tenant, wanted, call)
        is_recursive = call.query.get("fetch_child", "").lower() == "true"
        departments = sub_departments(self._tenant, parent, is_recursive=is_recursive)
        return self._page(departments, call, default=10)

    def parents(self, call: Call) -> JsonObject:
        """The departments above one, nearest first and without the root."""
        if not call.query.get("department_id"):
            raise RefusedError(44102)
        department_id = find_department(self._tenant, call.query["department_id"], call)
        found: list[Department] = []
        current = self._tenant.departments.get(department_id)
        while current and (above := self._tenant.departments.get(current.parent_department_id)):
            if above in found:  # an edited tenant can have a cycle
                break
            found.append(above)
            current = above
        return self._page(found, call, default=20)

    def search(self, call: Call) -> JsonObject:
        """The departments whose name contains `query`."""
        query = text_field(call.body, "query")
        found = [one for one in self._tenant.departments.values() if query.lower() in one.name.lower()]
        return self._page(found, call, default=20)

    def _page(self, departments: list[Department], call: Call, *, default: int) -> JsonObject:
        self._check_range()
        found, more = one_page(call, departments, default=default, **PAGES)
        return {"items": [self._json(one.department_id, call) for one in found], **more}

    def _check_range(self) -> None:
        if not self._tenant.console.live.contact_range:
            raise RefusedError(40004)

    def _json(self, department_id: str, call: Call) -> JsonObject:
        """The fields that the granted scopes allow."""
        tenant, id_type = self._tenant, user_id_type(call)
        below = [
            department_id,
            *(one.department_id for one in sub_departments(tenant, department_id, is_recursive=True)),
        ]
        members = {one.open_id for each in below for one in people_of(tenant, each)}
        department = tenant.departments.get(department_id)
        if department is None:
            return {
                "name": tenant.settings.tenant_key,
                "department_id": ROOT_DEPARTMENT,
                "open_department_id": ROOT_DEPARTMENT,
                "member_count": len(members),
                "status": {"is_deleted": False},
            }
        leader = tenant.people.get(department.leader_open_id)
        found: JsonObject = {
            "department_id": department.department_id,
            "open_department_id": department.open_department_id,
            "parent_department_id": department_id_of(tenant, department.parent_department_id, call),
            "order": str(list(tenant.departments).index(department_id) + 1),
            "member_count": len(members),
            "status": {"is_deleted": False},
        }
        if not tenant.granted_scopes.isdisjoint(SCOPES[1:2] + SCOPES[3:]):
            found |= {
                "name": department.name,
                "i18n_name": {"zh_cn": department.name, "en_us": department.en_name},
            }
        if leader is not None:
            leader_id = getattr(leader, id_type)
            found |= {
                "leader_user_id": leader_id,
                "leaders": [{"leaderType": 1, "leaderID": leader_id}],
            }
        return found


def _department_id_type(call: Call) -> str:
    id_type = call.query.get("department_id_type", "open_department_id")
    if id_type not in ("open_department_id", "department_id"):
        raise bad_field("department_id_type", "must be open_department_id or department_id", id_type)
    return id_type


def find_department(tenant: Tenant, wanted: str, call: Call) -> str:
    """The department_id for an id of the kind that the request uses. Raises 40015, 44102 and 40004."""
    id_type = _department_id_type(call)
    if not wanted:
        raise RefusedError(44102)
    if not tenant.console.live.contact_range:
        raise RefusedError(40004)
    if wanted == ROOT_DEPARTMENT:
        return ROOT_DEPARTMENT
    for department in tenant.departments.values():
        if getattr(department, id_type) == wanted:
            return department.department_id
    raise RefusedError(40015)


def department_id_of(tenant: Tenant, department_id: str, call: Call) -> str:
    """The id of a department, of the kind that the request uses."""
    department = tenant.departments.get(department_id)
    return ROOT_DEPARTMENT if department is None else str(getattr(department, _department_id_type(call)))


def sub_departments(tenant: Tenant, department_id: str, *, is_recursive: bool = False) -> list[Department]:
    """The departments below one, in the order of the tenant; with is_recursive also those below them."""
    found = [one for one in tenant.departments.values() if one.parent_department_id == department_id]
    seen = {one.department_id for one in found}
    for one in found if is_recursive else ():  # grows while it runs
        for below in sub_departments(tenant, one.department_id):
            if below.department_id not in seen:
                seen.add(below.department_id)
                found.append(below)
    return found


def people_of(tenant: Tenant, department_id: str) -> list[TenantPerson]:
    """The people directly in a department whom the app may read and who have not left."""
    return [
        person
        for person in tenant.people.values()
        if department_id in (person.department_ids or [ROOT_DEPARTMENT])
        and person.status is not PersonStatus.RESIGNED
        and tenant.may_read(person)
    ]
