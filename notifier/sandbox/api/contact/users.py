"""The calls that find and read people, and the contact range of the app."""

from typing import Any

from notifier.sandbox.api.contact.departments import (
    department_id_of,
    find_department,
    people_of,
    sub_departments,
)
from notifier.sandbox.api.gateway import Api, Call
from notifier.sandbox.api.parameters import one_page, user_id_type
from notifier.sandbox.api.quota import MESSAGES
from notifier.sandbox.api.tokens import TENANT, USER
from notifier.sandbox.error_codes import JsonObject, RefusedError, bad_field, wrong_type
from notifier.sandbox.tenant import PersonStatus, Tenant, TenantPerson

READ_SCOPES = (
    "contact:contact.base:readonly",
    "contact:contact:access_as_app",
    "contact:contact:readonly_as_app",
)
ORGANIZE_SCOPES = (*READ_SCOPES, "contact:department.organize:readonly")
QUERIES_PER_KIND = 50
USERS_PER_BATCH = 50
ONE_USER = "/{user_id:(?!(?:batch|batch_get_id|find_by_department)/?$)[^/]+}"
"""An id, and not the name of another call."""
PAGES: Any = {"default": 10, "maximum": 50, "bad_size_code": 40011, "bad_token_code": 40012}


class ContactApi:
    """The calls that read people."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def apis(self) -> list[Api]:
        """All calls of this class."""
        users = "/open-apis/contact/v3/users"
        get: Any = {"method": "GET", "limits": MESSAGES, "tokens": (TENANT, USER)}
        by_id = ("contact:user.id:readonly",)
        find = users + "/batch_get_id"
        by_department = users + "/find_by_department"
        fields = "without job, employment and custom fields"
        return [
            Api(method="POST", path=find, scopes=by_id, limits=MESSAGES, answer=self.find),
            Api(path=users + "/batch", scopes=READ_SCOPES, answer=self.users, notes=fields, **get),
            Api(
                path=by_department,
                scopes=ORGANIZE_SCOPES,
                answer=self.of_department,
                notes=fields,
                **get,
            ),
            Api(path=users + ONE_USER, scopes=READ_SCOPES, answer=self.user, notes=fields, **get),
            Api(path=users, scopes=READ_SCOPES, answer=self.list_users, notes=fields, **get),
            Api(
                method="GET",
                path="/open-apis/contact/v3/scopes",
                scopes=READ_SCOPES,
                limits=MESSAGES,
                answer=self.contact_range,
                notes="the range is everybody or nobody",
            ),
            Api(
                method="GET",
                path="/open-apis/search/v1/user",
                scopes=("contact:user:search",),
                limits=MESSAGES,
                answer=self.search,
                tokens=(USER,),
            ),
        ]

    def users(self, call: Call) -> JsonObject:
        """Several people by their ids. Unknown ids and people out of range are left out."""
        id_type = user_id_type(call)
        if len(call.query_lists.get("user_ids", ())) > USERS_PER_BATCH:
            raise RefusedError(40001, f"at most {USERS_PER_BATCH} user_ids")
        found = [
            self._user(person, call)
            for wanted in call.query_lists.get("user_ids", ())
            for person in self._tenant.people.values()
            if getattr(person, id_type) == wanted and self._tenant.may_read(person)
        ]
        return {"items": found}

    def find(self, call: Call) -> JsonObject:
        """batch_get_id: an unknown e-mail address or phone number is returned without an id and without an error."""
        id_type = user_id_type(call)
        found: list[JsonObject] = []
        for field, kind in (("emails", "email"), ("mobiles", "mobile")):
            queries = call.body.get(field) or []
            if not isinstance(queries, list) or not all(isinstance(item, str) for item in queries):
                raise wrong_type(field, queries)
            if len(queries) > QUERIES_PER_KIND:
                raise bad_field(field, f"at most {QUERIES_PER_KIND} entries", len(queries))
            found += [self._find_one(kind, item, id_type, call.body) for item in queries]
        return {"user_list": found}

    def _find_one(self, kind: str, query: str, id_type: str, body: JsonObject) -> JsonObject:
        full = f"+86{query}" if kind == "mobile" and not query.startswith("+") else query
        for person in self._tenant.people.values():
            hidden = person.status is PersonStatus.RESIGNED and not body.get("include_resigned")
            if getattr(person, kind) == full and not hidden and self._tenant.may_read(person):
                return {kind: query, "user_id": getattr(person, id_type)}
        return {kind: query}

    def user(self, call: Call) -> JsonObject:
        """One person; its fields depend on the granted scopes."""
        id_type = user_id_type(call)
        if id_type == "open_id" and self._tenant.is_foreign(call.path["user_id"]):
            raise RefusedError(99992361)
        for person in self._tenant.people.values():
            if getattr(person, id_type) == call.path["user_id"]:
                if not self._tenant.may_read(person):
                    raise RefusedError(41050)
                return {"user": self._user(person, call)}
        raise RefusedError(99992351 if id_type == "open_id" else 41012)

    def _user(self, person: TenantPerson, call: Call) -> JsonObject:
        """Each field requires its own scope; without it the field is absent."""
        granted = self._tenant.granted_scopes
        user: JsonObject = {"open_id": person.open_id, "union_id": person.union_id}
        if "contact:user.employee_id:readonly" in granted:
            user["user_id"] = person.user_id
        if "contact:user.base:readonly" in granted:
            user |= {"name": person.name, "en_name": person.en_name}
        if "contact:user.email:readonly" in granted:
            user["email"] = person.email
        if "contact:user.phone:readonly" in granted:
            user["mobile"] = person.mobile
        if "contact:user.department:readonly" in granted:
            user["department_ids"] = [
                department_id_of(self._tenant, one, call) for one in person.department_ids or ["0"]
            ]
        resigned = person.status is PersonStatus.RESIGNED
        user["status"] = {
            "is_frozen": False,
            "is_resigned": resigned,
            "is_activated": True,
            "is_exited": resigned,
        }
        return user

    def of_department(self, call: Call) -> JsonObject:
        """The people directly in a department, in pages."""
        department_id = find_department(self._tenant, call.query.get("department_id", ""), call)
        return self._page(people_of(self._tenant, department_id), call)

    def list_users(self, call: Call) -> JsonObject:
        """The people directly in a department, in pages; without `department_id` all people that the app may read."""
        wanted = call.query.get("department_id")
        if wanted is not None:
            return self.of_department(call)
        return self._page([one for one in self._tenant.people.values() if self._tenant.may_read(one)], call)

    def search(self, call: Call) -> JsonObject:
        """The people whose name contains `query`, for the person of the token."""
        query = call.query.get("query", "")
        if not query:
            raise bad_field("query", "query is required")
        people = [
            person
            for person in self._tenant.people.values()
            if query.lower() in f"{person.name}\n{person.en_name}".lower()
            and person.status is not PersonStatus.RESIGNED
        ]
        found, more = one_page(call, people, default=20, maximum=200)
        fields = ("open_id", "name")
        shown = [
            {
                **{name: getattr(person, name) for name in fields},
                "department_ids": [
                    self._tenant.departments[one].open_department_id for one in person.department_ids
                ],
            }
            for person in found
        ]
        return {"users": shown, **more}

    def contact_range(self, call: Call) -> JsonObject:
        """The contact range: for everybody, the departments below the root and the people in the root alone."""
        id_type = user_id_type(call)
        is_everybody = self._tenant.console.live.contact_range
        people = [getattr(one, id_type) for one in people_of(self._tenant, "0")] if is_everybody else []
        departments = [
            department_id_of(self._tenant, one.department_id, call)
            for one in (sub_departments(self._tenant, "0") if is_everybody else [])
        ]
        entries = [("user_ids", one) for one in people] + [("department_ids", one) for one in departments]
        found, more = one_page(
            call, entries, default=50, maximum=100, bad_size_code=40011, bad_token_code=40012
        )
        kinds = ("department_ids", "user_ids")
        listed = {kind: [value for of, value in found if of == kind] for kind in kinds}
        return {**listed, "group_ids": [], **more}

    def _page(self, people: list[TenantPerson], call: Call) -> JsonObject:
        user_id_type(call)
        if not self._tenant.console.live.contact_range:
            raise RefusedError(40004)
        found, more = one_page(call, people, **PAGES)
        return {"items": [self._user(person, call) for person in found], **more}
