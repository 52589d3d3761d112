"""Faults as they are typed in a shell: `setup:scope_missing,scope=im:resource`."""

import json

from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.faults.running import parse_fault
from notifier.sandbox.tenant import Tenant


def parse_fault_text(text: str, tenant: Tenant | None) -> JsonObject:
    """The request to start a fault, with options after commas. Raises BadFaultError.

    tenant: with the scopes, groups and people that exist; None to check the request when the fault starts.
    """
    name, *options = text.split(",")
    request: JsonObject = {"fault_type": name}
    for option in options:
        key, _, value = option.partition("=")
        request[key] = _read_value(value)
    if tenant is not None:
        parse_fault(request, fault_id="", tenant=tenant)
    return request


def _read_value(text: str) -> object:
    """A number or true/false as such, anything else as text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text
