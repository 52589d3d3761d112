"""The HTML of the login page: a list of people to log in as, and a page for a login that is refused."""

from collections.abc import Mapping
from html import escape
from urllib.parse import urlencode

from notifier.sandbox.error_codes import RefusedError
from notifier.sandbox.tenant import Tenant

_PAGE = """\
<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.6 system-ui, sans-serif; max-width: 32rem; margin: 3rem auto; padding: 0 1rem; color: #1f2329; }}
a {{ display: block; padding: .6rem .8rem; margin: .4rem 0; border: 1px solid #8f959e; border-radius: 8px;
color: #0c296e; text-decoration: none; }}
a:hover, a:focus {{ background: #e8f0ff; }}
</style></head><body><main><h1>{title}</h1>
{content}
</main></body></html>
"""


def who_page(tenant: Tenant, query: Mapping[str, str], scopes: frozenset[str]) -> str:
    """A link for each person whom the app is available to, and one that refuses the login."""
    links = [
        f'<a href="?{escape(urlencode({**query, "as": person.open_id}))}">{escape(person.name)} '
        f'<span lang="en">{escape(person.en_name)}</span></a>'
        for person in tenant.people.values()
        if tenant.is_available_to(person)
    ]
    refuse = f'<a href="?{escape(urlencode({**query, "as": "nobody"}))}">拒绝授权 <span lang="en">Refuse</span></a>'
    asked = ", ".join(sorted(scopes))
    content = f'<p>应用申请的权限 <span lang="en">Scopes</span>: {escape(asked)}</p>' + "\n".join(
        [*links, refuse]
    )
    return _PAGE.format(title="登录飞书沙盒 Log in", content=content)


def refusal_page(refused: RefusedError) -> str:
    """Why the login is refused."""
    content = f"<p>{escape(refused.msg)}</p>"
    return _PAGE.format(title=f"{refused.code}", content=content)
