"""Which scopes a configuration and the answers of init need, and how doctor names the one that registers referrers."""

import pytest

from notifier.config.settings import Config
from notifier.domain.scopes import SCOPE_NAMES, SCOPES, Feature
from notifier.operations.accounts import texts
from notifier.operations.doctor.console_menu import Console
from notifier.operations.doctor.findings import FindingState
from notifier.operations.doctor.scope_checks import Proof, ScopeResults, _to_finding, needed_features
from notifier.operations.setup.config_text import GroupSetup, SetupChoices
from notifier.operations.setup.console_steps import list_console_steps, list_scopes

ALWAYS = [
    *("hire:referral_account:readonly", "im:message:send_as_bot", "hire:referral_account"),
    "im:message.p2p_msg:readonly",
]
IN_GROUPS = {"im:chat:readonly", "im:message.group_at_msg:readonly"}
CONSOLE = Console("https://open.feishu.cn", "cli_x")


def scopes_of(**settings: object) -> list[str]:
    return [SCOPES[feature] for feature in needed_features(Config.model_validate(settings))]


@pytest.mark.parametrize(
    "settings, more",
    [
        ({}, set()),
        ({"withdrawals": {"offer_to": "referrer"}}, set()),
        ({"groups": {"hr": {"chat_id": "oc_x"}}}, IN_GROUPS),
        (
            {"groups": {"hr": {"chat_id": "oc_x", "operators": "ou_x"}}},
            {*IN_GROUPS, "im:chat.members:read"},
        ),
        (
            {"groups": {"hr": {"chat_id": "oc_x", "operators": "li@example.com"}}},
            {*IN_GROUPS, "im:chat.members:read", "contact:user.id:readonly"},
        ),
        ({"digests": [{"name": "a", "to": "referrer"}]}, {"im:resource"}),
        ({"feishu": {"environment": "test"}}, {"hire:external_referral_reward"}),
    ],
)
def test_a_configuration_needs_each_scope_once(settings: dict[str, object], more: set[str]) -> None:
    scopes = scopes_of(**settings)

    assert {*ALWAYS, *more} == set(scopes)
    assert len(scopes) == len(set(scopes))


def test_a_service_without_answers_needs_no_scope_for_them() -> None:
    settings = {"answers": {"enabled": False}, "groups": {"hr": {"chat_id": "oc_x"}}}

    assert not any("_msg:" in scope for scope in scopes_of(**settings))


@pytest.mark.parametrize(
    "operators, more",
    [
        (["ou_x"], {"im:chat.members:read"}),
        (["li@example.com"], {"im:chat.members:read", "contact:user.id:readonly"}),
        ([], {"im:chat.members:read", "contact:user.id:readonly"}),
    ],
)
def test_init_lists_the_scopes_of_its_answers(operators: list[str], more: set[str]) -> None:
    choices = SetupChoices(
        app_id="cli_x",
        base_url="https://open.feishu.cn",
        groups={"hr": GroupSetup(chat_id="oc_x", operators=operators)},
        offer_to=["hr"],
        is_test=True,
    )

    scopes = list_scopes(choices)

    assert {*ALWAYS, *IN_GROUPS, "hire:external_referral_reward", *more} == set(scopes)
    assert all(any(scope in step for step in list_console_steps(choices)) for scope in scopes)


@pytest.mark.parametrize(
    "feature, state, name",
    [
        (Feature.REGISTER, FindingState.UNKNOWN, "Update referral account"),
        (Feature.WITHDRAW, FindingState.PROBLEM, "Update referral account"),
        (Feature.QUESTIONS, FindingState.UNKNOWN, "Read private messages sent to the bot"),
        (Feature.GROUP_QUESTIONS, FindingState.UNKNOWN, "Obtain group messages mentioning the bot"),
    ],
)
def test_a_service_that_never_registers_or_answers_can_do_without_the_scope(
    feature: Feature, state: FindingState, name: str
) -> None:
    finding = _to_finding(feature, Proof.MISSING, CONSOLE, {}, ScopeResults())

    assert (state, f"scope.{SCOPES[feature]}") == (finding.state, finding.id)
    assert name in finding.remedy.en


def test_every_command_has_the_same_name_for_a_scope() -> None:
    for scope, name in SCOPE_NAMES.items():
        assert name.zh in texts.scope_missing(scope).zh
        assert name.en in CONSOLE.add_scopes([scope]).en
