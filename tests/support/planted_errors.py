"""What `notifier doctor` names for each set-up error that the sandbox can plant."""

from typing import Any

EXPECTED: dict[str, tuple[dict[str, Any], str]] = {
    "setup:wrong_secret": ({}, "token"),
    "setup:scope_missing": ({}, "scope.im:message:send_as_bot"),
    "setup:unpublished": ({}, "app.published"),
    "setup:event_not_subscribed": ({}, "subscription.event"),
    "setup:callback_not_subscribed": ({}, "subscription.callback"),
    "setup:bot_off": ({}, "app.bot"),
    "setup:bot_not_in_group": ({}, "group.hr"),
    "setup:outside_availability": ({}, "availability"),
    "setup:contact_range_empty": ({}, "contact_range"),
    "setup:other_program": ({}, "connections"),
    "setup:ip_not_allowed": ({}, "ip_allow_list"),
    "setup:app_disabled": ({}, "app.enabled"),
    "setup:wrong_chat_id": ({"chat_id": "oc_sandbox_fallback"}, "group.fallback"),
    "setup:foreign_operator": ({}, "operators.hr"),
    "setup:wrong_clock": ({}, "clock"),
    "setup:nobody_registered": ({}, "accounts"),
}
"""The one problem that each planted error is, by fault type, with the options of the fault."""
