"""Config: every wrong input is one sentence that names file and key; what is right means what it says."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest
from click.testing import CliRunner, Result
from pydantic import BaseModel
from ruamel.yaml import YAML

from notifier.cli.main import cli
from notifier.config import loader
from notifier.config.digests import DigestConfig
from notifier.config.loader import load_config, require_credentials
from notifier.config.sections import GroupConfig
from notifier.config.settings import Config
from notifier.errors import ConfigError
from notifier.runtime.factories import make_webhook_access

EXAMPLE = Path(__file__).parents[1] / "config.example.yaml"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def check(file: Path, environ: Mapping[str, str] | None = None) -> Result:
    """`notifier check`, without the settings of this shell."""
    hidden = {name: None for name in os.environ if name.startswith(("NOTIFIER_", "FEISHU_", "LARK_", "APP_"))}
    return CliRunner().invoke(cli, ["check", "--config", str(file)], env={**hidden, **(environ or {})})


def complaint(file: Path, environ: Mapping[str, str] | None = None) -> str:
    """The one line that a wrong configuration is answered with."""
    result = check(file, environ)
    lines = result.stderr.splitlines()
    assert 2 == result.exit_code, result.output
    assert 1 == len(lines), result.stderr
    assert "" == result.stdout
    assert "Traceback" not in result.stderr
    return lines[0]


WRONG = {
    "a contact line that is too long": (
        f"cards:\n  contact: {{zh: {'x' * 201}}}",
        "cards.contact.zh: string should have at most 200 characters",
    ),
    "a payday line in a third language": (
        "cards:\n  payday: {fr: le 15}",
        "cards.payday.fr: there is no such key",
    ),
    "events that go before Feishu is done with them": (
        "retention:\n  events_days: 0",
        "retention.events_days: must be at least 1: Feishu repeats an event for up to 7 hours",
    ),
    "events that are kept for longer than there are dates": (
        "retention:\n  events_days: 99999999999",
        "retention.events_days: input should be less than or equal to 36500",
    ),
    "cards that go while they can be pressed": (
        "retention:\n  deliveries_days: 14",
        "retention.deliveries_days: must be at least 30: a card can be pressed and updated for 14 days",
    ),
    "no routes at all": ("routes: []", "routes: the list is empty, so no notice would be sent"),
    "yes where a number belongs": ("feishu:\n  timeout_seconds: true", "timeout_seconds: must be a number"),
    "a password in the address": ("feishu:\n  base_url: https://me:pw@open.feishu.cn", "without a user name"),
    "a database in memory": ("store:\n  url: 'sqlite:///:memory:'", "store.url: must name a file"),
    "a collector without a scheme": (
        "tracing:\n  endpoint: localhost:4318",
        "tracing.endpoint: must be an address of OTLP over HTTP, such as http://127.0.0.1:4318",
    ),
    "the path of traces in the address": (
        "tracing:\n  endpoint: http://127.0.0.1:4318/v1/traces",
        "tracing.endpoint: must be the base address; leave out /v1/traces, which is added",
    ),
    "nobody to tell": ("routes:\n  - name: a\n    to: []", "routes[0].to: must not be empty"),
    "nothing where names belong": (
        "routes:\n  - name: a\n    to: null",
        "routes[0].to: must be one value or a list",
    ),
    "an unknown key": (
        "feishu:\n  app_idd: x",
        "feishu.app_idd: there is no such key (did you mean app_id?)",
    ),
    "an unknown section": ("feisu:\n  app_id: x", "feisu: there is no such key (did you mean feishu?)"),
    "an unknown key of a route": (
        "routes:\n  - name: a\n    to: referrer\n    wenn: {}",
        "routes[0].wenn: there is no such key (did you mean when?)",
    ),
    "an unknown condition": (
        "routes:\n  - {name: a, to: referrer, when: {curency: CNY}}",
        "routes[0].when.curency: there is no such key (did you mean currency?)",
    ),
    "an unknown key of a group": (
        "groups:\n  hr:\n    chat_id: oc_1\n    chatid: oc_1",
        "groups.hr.chatid: there is no such key (did you mean chat_id?)",
    ),
    "a key far from all others": (
        "log:\n  zzzzz: 1",
        "log.zzzzz: there is no such key (there are: format, level)",
    ),
    "a word for a number": ("sending:\n  per_second: fast", "sending.per_second: "),
    "a list for a text": ("feishu:\n  app_id: [a]", "feishu.app_id: "),
    "no limit at all": ("sending:\n  per_minute: 0", "sending.per_minute: input should be greater than 0"),
    "not a number": ("sending:\n  give_up_after_hours: .nan", "sending.give_up_after_hours: "),
    "a word that is none of ours": ("log:\n  level: loud", "log.level: input should be 'debug'"),
    "a text for a section": ("feishu: cli_x", "feishu: must hold `key: value` lines"),
    "an empty section": ("sending:", "sending: must hold `key: value` lines"),
    "a list for the whole": ("- a\n- b", "must hold `key: value` lines"),
    "a duplicate key": (
        "log:\n  level: info\n  level: debug",
        'line 3, column 3: found duplicate key "level" with value "debug"',
    ),
    "not YAML": ("feishu: [", "this is not YAML: "),
    "a tab": (
        "feishu:\n\tapp_id: x",
        "line 2, column 1: a tab stands where only spaces are allowed. Use spaces.",
    ),
    "a control character": ("feishu: \x01", "this is not YAML: "),
    "a date that is none": ("log:\n  level: 2001-13-45", "this is not YAML: "),
    "a nesting without end": ("[" * 5_000, "this is not YAML: "),
    "a YAML tag": ("feishu: !!python/object:os.system {}", "this is not YAML: "),
    "two documents": ("log: {}\n---\nlog: {}", "this is not YAML: "),
    "a number for a key": ("1: x", "1"),
    "http over the network": (
        "feishu:\n  base_url: http://open.feishu.cn",
        "feishu.base_url: must use https, because calls contain the app secret",
    ),
    "an address with a path": (
        "feishu:\n  base_url: https://open.feishu.cn/open-apis",
        "feishu.base_url: must be an address without a path; leave out /open-apis",
    ),
    "an address without a scheme": (
        "feishu:\n  base_url: open.feishu.cn",
        "feishu.base_url: must be an address",
    ),
    "half an address": ("feishu:\n  base_url: 'https://['", "feishu.base_url: "),
    "a port that is none": ("feishu:\n  base_url: https://a.invalid:99999", "feishu.base_url: "),
    "a route to a group that is not there": (
        "groups: {recruiting: {chat_id: oc_1}}\nroutes:\n  - {name: a, to: recruting}",
        "routes[0].to: there is no group called 'recruting' under `groups` (did you mean recruiting?)",
    ),
    "a fallback that is not there": (
        "fallback_group: hr",
        "fallback_group: there is no group called 'hr' under `groups` (there are: referrer)",
    ),
    "a fallback that is a person": (
        "fallback_group: referrer",
        "fallback_group: there is no group called 'referrer'",
    ),
    "a group with a taken name": (
        "groups: {referrer: {chat_id: oc_1}}",
        "groups.referrer: a group name must consist of lower-case letters",
    ),
    "a chat id that is none": ("groups: {hr: {chat_id: ou_1}}", "groups.hr.chat_id: is not a chat id"),
    "two group names for one chat": (
        "groups: {hr: {chat_id: oc_1, operators: [ou_1]}, finance: {chat_id: oc_1}}",
        "groups.finance.chat_id: oc_1 is the chat of groups.hr too",
    ),
    "a group without a chat": ("groups: {hr: {}}", "groups.hr.chat_id: this key is missing"),
    "a time zone that is none": (
        "cards:\n  time_zone: Asia/Peking",
        "cards.time_zone: 'Asia/Peking' is not an IANA",
    ),
    "a time zone from elsewhere": ("cards:\n  time_zone: ../../etc/passwd", "cards.time_zone: "),
    "a template folder that is not there": ("cards:\n  template_dir: gone", "cards.template_dir: "),
    "a route to nobody": ("routes:\n  - {name: a, to: []}", "routes[0].to: "),
    "two routes of one name": (
        "routes:\n  - {name: a, to: referrer}\n  - {name: a, to: referrer}",
        "routes: the name 'a' is used twice",
    ),
    "a negative amount": (
        "routes:\n  - {name: a, to: referrer, when: {least_amount: -1}}",
        "routes[0].when.least_amount: ",
    ),
    "a direction that is none": (
        "routes:\n  - {name: a, to: referrer, when: {direction: upwards}}",
        "routes[0].when.direction[0]: input should be 'increase'",
    ),
    "a way to listen that is none": (
        "feishu:\n  transport: carrier pigeon",
        "feishu.transport: input should be 'long_connection' or 'webhook'",
    ),
    "a webhook without an address": (
        "feishu:\n  transport: webhook\nwebhook:\n  encrypt_key: k",
        "webhook.listen: feishu.transport is webhook; set host:port",
    ),
    "a webhook without a secret": (
        "feishu:\n  transport: webhook\nwebhook:\n  listen: 127.0.0.1:1",
        "webhook.encrypt_key: set webhook.encrypt_key or webhook.verification_token",
    ),
    "a webhook's address that is none": ("webhook:\n  listen: here", "webhook.listen: must be host:port"),
    "a webhook's path with a pattern": ("webhook:\n  path: '/{x}'", "webhook.path: must be a path such as"),
    "a webhook's path at the top": ("webhook:\n  path: /", "webhook.path: must be a path such as"),
    "a replay window without an end": (
        "webhook:\n  replay_window_seconds: 86400",
        "webhook.replay_window_seconds: input should be less than or equal to 3600",
    ),
    "no replay window": (
        "webhook:\n  replay_window_seconds: 0",
        "webhook.replay_window_seconds: input should be greater than or equal to 1",
    ),
    "a database that is not ours": (
        "store:\n  url: mysql://a:secret@db.invalid/x",
        "store.url: must be sqlite:///path/to/notifier.db",
    ),
}


@pytest.mark.parametrize("text, said", WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said_in_one_line_with_file_and_key(file: Path, text: str, said: str) -> None:
    file.write_text(text, encoding="utf-8")
    line = complaint(file)

    assert line.startswith(f"notifier: {file}: ")
    assert said in line
    assert "a:secret" not in line


def test_a_wrong_value_hides_no_finding_across_sections(file: Path) -> None:
    file.write_text(
        "feishu: {timeout_seconds: 99, transport: webhook}\n"
        "webhook: {listen: 127.0.0.1:1, encrypt_key: 0123}\n"
        "groups: {hr: {chat_id: 0123}, it: {}, pay: {chat_id: oc_1}, two: {chat_id: oc_1}}\n"
        "fallback_group: hrr\n"
        "routes: [{to: [ht, it]}, {name: second, to: []}]\n"
        "withdrawals: {offer_to: [hhr], kinds: [gold]}\n"
        "payouts: {alarm_group: nobody}\n"
        "digests: [{name: daily, to: [hq], at: '25:00'}, {name: daily, to: hr}]\n",
        encoding="utf-8",
    )
    lines = check(file).stderr.splitlines()

    for finding in (
        "feishu.timeout_seconds: ",
        "webhook.encrypt_key: would lose its form",
        "groups.hr.chat_id: ",
        "groups.it.chat_id: this key is missing",
        "groups.two.chat_id: oc_1 is the chat of groups.pay too",
        "fallback_group: there is no group called 'hrr'",
        "routes[0].name: this key is missing",
        "routes[0].to: there is no group called 'ht'",
        "routes[1].to: must not be empty",
        "withdrawals.offer_to: there is no group called 'hhr'",
        "payouts.alarm_group: there is no group called 'nobody'",
        "digests: the name 'daily' is used twice",
        "digests[0].to: there is no group called 'hq'",
    ):
        assert 1 == sum(finding in line for line in lines), (finding, lines)
    assert "'it'" not in "".join(lines), "a group with another fault is known"
    assert "because otherwise anyone can post" not in "".join(lines), "a wrong secret is no missing one"


def test_without_readable_groups_no_name_is_called_unknown(file: Path) -> None:
    file.write_text("groups: [hr]\nfallback_group: hr\n", encoding="utf-8")

    assert "groups: must hold" in complaint(file)


def test_a_file_that_is_not_there_is_named_with_a_way_out(file: Path) -> None:
    assert f"notifier: {file}: there is no such file. Run `notifier init`" in complaint(file)


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    assert f"{tmp_path}: cannot be read: Is a directory" in complaint(tmp_path)


def test_a_file_that_is_no_text_is_named(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00")

    assert f"{file}: cannot be read: it is not UTF-8 text" in complaint(file)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(file: Path) -> None:
    file.write_text("")
    file.chmod(0)

    assert f"{file}: cannot be read: Permission denied" in complaint(file)


def test_an_empty_file_means_the_defaults(file: Path) -> None:
    file.write_text("# nothing yet\n")

    assert Config() == load_config(file, {}).config


def test_a_wrong_configuration_leaves_no_traceback_in_a_process_of_its_own(file: Path) -> None:
    file.write_text("feishu: [")
    ended = subprocess.run(
        [sys.executable, "-m", "notifier", "status", "--config", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (2, "", 1) == (ended.returncode, ended.stdout, len(ended.stderr.splitlines()))


# the environment


def test_a_wrong_value_from_the_environment_names_its_variable(file: Path) -> None:
    file.write_text("")

    assert "notifier: the environment (NOTIFIER_SENDING__PER_SECOND): sending.per_second: " in complaint(
        file, {"NOTIFIER_SENDING__PER_SECOND": "fast"}
    )


@pytest.mark.parametrize(
    "variable, hint",
    [
        ("NOTIFIER_FEISHU__APP_IDD", " (did you mean NOTIFIER_FEISHU__APP_ID?)"),
        ("NOTIFIER_FEISHU_APP_ID", " (did you mean NOTIFIER_FEISHU__APP_ID?)"),
        ("NOTIFIER_ZZZ", ""),
    ],
)
def test_a_variable_of_ours_that_names_no_setting_is_refused(file: Path, variable: str, hint: str) -> None:
    file.write_text("")

    assert f"the environment: {variable} is not a setting{hint}" in complaint(file, {variable: "x"})


def test_variables_for_the_tests_are_none_of_the_settings(file: Path) -> None:
    file.write_text("")

    assert Config() == load_config(file, {"NOTIFIER_TESTS_REQUIRE": "browser"}).config


@pytest.mark.parametrize(
    "names, winner",
    [
        (("NOTIFIER_FEISHU__APP_ID", "FEISHU_APP_ID", "LARK_APP_ID", "APP_ID"), "NOTIFIER_FEISHU__APP_ID"),
        (("FEISHU_APP_ID", "LARK_APP_ID", "APP_ID"), "FEISHU_APP_ID"),
        (("LARK_APP_ID", "APP_ID"), "LARK_APP_ID"),
        (("APP_ID",), "APP_ID"),
    ],
)
def test_of_several_variables_the_first_that_is_set_wins_over_the_file(
    file: Path, names: tuple[str, ...], winner: str
) -> None:
    file.write_text("feishu:\n  app_id: from the file")
    loaded = load_config(file, {name: f"from {name}" for name in names})

    assert f"from {winner}" == loaded.config.feishu.app_id
    assert {"feishu.app_id": winner} == loaded.origins
    assert {name: winner for name in names if name != winner} == loaded.overridden


def test_an_empty_variable_counts_as_not_set(file: Path) -> None:
    file.write_text("feishu:\n  app_id: from the file")

    assert "from the file" == load_config(file, {"FEISHU_APP_ID": ""}).config.feishu.app_id


def test_every_single_value_can_come_from_the_environment(file: Path) -> None:
    file.write_text("groups: {hr: {chat_id: oc_1}}")
    environ = {
        "NOTIFIER_STORE__URL": "sqlite:///x.db",
        "NOTIFIER_CARDS__TIME_ZONE": "Asia/Tokyo",
        "NOTIFIER_CARDS__CONTACT": "Ask HR",
        "NOTIFIER_FALLBACK_GROUP": "hr",
        "NOTIFIER_REFERRERS__MAX_AGE_HOURS": "1.5",
        "NOTIFIER_SENDING__PER_MINUTE": "500",
        "NOTIFIER_LOG__FORMAT": "json",
    }
    found = load_config(file, environ).config

    assert ("sqlite:///x.db", "Asia/Tokyo", "Ask HR", "hr", 1.5, 500, "json") == (
        found.store.url,
        found.cards.time_zone.key,
        found.cards.contact.zh,
        found.fallback_group,
        found.referrers.max_age_hours,
        found.sending.per_minute,
        found.log.format,
    )


@pytest.mark.parametrize("missing", ["app_id", "app_secret"])
def test_missing_credentials_are_named_with_their_variable(file: Path, missing: str) -> None:
    file.write_text(
        "\n".join(["feishu:", *(f"  {key}: x" for key in ("app_id", "app_secret") if key != missing)])
    )

    with pytest.raises(ConfigError, match=rf"feishu\.{missing} is missing.*FEISHU_{missing.upper()}"):
        require_credentials(load_config(file, {}))


def test_the_secret_is_not_shown_with_the_configuration(file: Path) -> None:
    file.write_text("feishu:\n  app_secret: very-secret")
    environ = {
        "NOTIFIER_WEBHOOK__ENCRYPT_KEY": "very-secret-key",
        "NOTIFIER_WEBHOOK__VERIFICATION_TOKEN": "very-secret-token",
    }

    assert "very-secret" not in repr(load_config(file, environ))
    assert "very-secret" not in repr(make_webhook_access(load_config(file, environ).config))


@pytest.mark.parametrize("secret", ["ENCRYPT_KEY", "VERIFICATION_TOKEN"])
def test_one_secret_is_enough_for_a_webhook(file: Path, secret: str) -> None:
    file.write_text("feishu:\n  transport: webhook\nwebhook:\n  listen: 127.0.0.1:8081")
    loaded = load_config(file, {f"NOTIFIER_WEBHOOK__{secret}": "12345"})
    access = make_webhook_access(loaded.config)

    assert "12345" == getattr(access, secret.lower())
    assert ("/feishu/events", 300) == (access.path, access.replay_window_seconds)


# what is right


@pytest.mark.parametrize(
    "base_url",
    [
        "https://open.larksuite.com",
        "https://open.feishu.cn/",
        "http://127.0.0.1:8765",
        "http://[::1]:1",
        "http://localhost",
    ],
)
def test_an_address_that_is_safe_for_the_secret_is_taken(file: Path, base_url: str) -> None:
    file.write_text(f"feishu:\n  base_url: '{base_url}'")

    assert base_url.rstrip("/") == load_config(file, {}).config.feishu.base_url


def test_ids_may_stand_without_quotes(file: Path) -> None:
    file.write_text(
        "feishu: {app_id: 123}\nroutes:\n  - {name: a, to: referrer, when: {account: 7000000000000000001}}"
    )
    found = load_config(file, {}).config

    assert ("123", ("7000000000000000001",)) == (found.feishu.app_id, found.routes[0].when.account)


def test_a_fraction_means_exactly_what_is_written(file: Path) -> None:
    file.write_text("routes:\n  - {name: a, to: referrer, when: {least_amount: 0.1}}")

    assert Decimal("0.1") == load_config(file, {}).config.routes[0].when.least_amount


def test_a_relative_template_folder_is_meant_from_the_file(file: Path) -> None:
    (file.parent / "mine").mkdir()
    file.write_text("cards: {template_dir: mine}")

    assert file.parent / "mine" == load_config(file, {}).config.cards.template_dir


def test_without_a_file_the_defaults_and_the_environment_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = load_config(None, {"APP_ID": "x"})

    assert (None, "x") == (loaded.file, loaded.config.feishu.app_id)


def test_config_yaml_in_the_working_folder_is_found_by_itself(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("feishu: {app_id: here}")
    monkeypatch.chdir(file.parent)

    assert "here" == load_config(None, {}).config.feishu.app_id


# the example


def test_the_example_says_the_defaults() -> None:
    assert Config() == load_config(EXAMPLE, {}).config


def test_the_example_names_every_setting() -> None:
    written = re.sub(r"^#(?=  )", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    written = re.sub(r"^    #  ", "      ", written, flags=re.MULTILINE)
    written = (
        written.replace("groups: {}", "groups:")
        .replace("digests: []", "digests:")
        .replace("when: {}", "when:")
    )
    document = YAML(typ="safe", pure=True).load(written)

    assert [] == [path for path in settings() if not _stands_in(document, path)]


def settings() -> list[tuple[str, ...]]:
    """The path of every setting, with * for a name of the operator's choice or a place in a list."""
    return [*_paths(Config, ())]


def _paths(model: type[BaseModel], before: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, info in model.model_fields.items():
        inner, steps = _model_in(info.annotation)
        if inner is None:
            yield (*before, name)
        else:
            yield from _paths(inner, (*before, name, *steps))


def _model_in(annotation: Any) -> tuple[type[BaseModel] | None, tuple[str, ...]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ()
    for each in get_args(annotation):
        found, _ = _model_in(each)
        if found is not None:
            return found, ("*",)
    return None, ()


def _stands_in(document: Any, path: tuple[str, ...]) -> bool:
    if not path:
        return True
    step, *rest = path
    if step == "*":
        inside = document.values() if isinstance(document, dict) else document
        return any(_stands_in(each, tuple(rest)) for each in inside)
    return isinstance(document, dict) and step in document and _stands_in(document[step], tuple(rest))


def test_the_walk_over_the_settings_finds_the_deep_ones() -> None:
    assert {("groups", "*", "chat_id"), ("routes", "*", "when", "least_amount"), ("log", "level")} <= {
        *settings()
    }


def test_the_example_shows_each_well_known_name() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")

    assert all(name in text for name in loader.WELL_KNOWN_VARIABLES["feishu", "app_id"])
    assert issubclass(GroupConfig, BaseModel)


@pytest.mark.parametrize(
    "digest, complaint",
    [
        ("{name: Daily, to: hr}", "digests[0].name"),
        ("{name: d, to: nobody}", "digests[0].to: there is no group called 'nobody'"),
        ("{name: d, to: []}", "digests[0].to"),
        ("{name: d, to: hr, at: '25:00'}", "must be a time of day in quotes"),
        ("{name: d, to: hr, cron: 99 9 * * *}", "is not a cron expression"),
        ("{name: d, to: hr, cron: 7 9 * * *, at: '09:07'}", "set either at or cron, not both"),
        ("{name: d, to: hr, time_zone: Mars/Base}", "is not an IANA time zone"),
        ("{name: d, to: hr, period: year}", "digests[0].period"),
        ("{name: d, to: hr, rows: 51}", "digests[0].rows"),
        ("{name: d, to: hr, chart_days: 8}", "digests[0].chart_days"),
        ("{name: d, to: hr, file: sometimes}", "digests[0].file"),
        ("{name: d, to: hr, jitter_seconds: -1}", "digests[0].jitter_seconds"),
        ("{name: d, to: hr, withdrwa: true}", "withdrwa"),
        ("{name: d, to: hr}, {name: d, to: hr}", "the name 'd' is used twice"),
    ],
)
def test_a_digest_that_cannot_be_is_refused_by_name(tmp_path: Path, digest: str, complaint: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"groups: {{hr: {{chat_id: oc_1}}}}\ndigests: [{digest}]\n", encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        load_config(file, {})
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    "digest, cron",
    [
        ({}, "7 9 * * *"),
        ({"at": "8:41"}, "41 8 * * *"),
        ({"period": "week"}, "7 9 * * mon"),
        ({"period": "month", "at": "23:59"}, "59 23 1 * *"),
        ({"cron": "17 10 * * 5"}, "17 10 * * 5"),
    ],
)
def test_when_a_digest_comes(digest: dict[str, str], cron: str) -> None:
    assert cron == DigestConfig(name="d", to=("referrer",), **digest).expression  # type: ignore[arg-type]


def test_a_digest_avoids_the_busiest_minutes_by_default() -> None:
    """Feishu is most loaded at :00 and :30."""
    default = DigestConfig(name="d", to=("referrer",))

    assert default.at[-2:] not in {"00", "30"}
    assert default.jitter_seconds > 0


KUBERNETES = {
    "NOTIFIER_SERVICE_HOST": "10.0.0.1",
    "NOTIFIER_SERVICE_PORT": "8080",
    "NOTIFIER_SERVICE_PORT_HTTP": "8080",
    "NOTIFIER_PORT": "tcp://10.0.0.1:8080",
    "NOTIFIER_PORT_8080_TCP": "tcp://10.0.0.1:8080",
    "NOTIFIER_PORT_8080_TCP_PROTO": "tcp",
    "NOTIFIER_PORT_8080_TCP_PORT": "8080",
    "NOTIFIER_PORT_8080_TCP_ADDR": "10.0.0.1",
    "NOTIFIER_WEB_SERVICE_HOST": "10.0.0.1",
}


@pytest.mark.parametrize("name, value", KUBERNETES.items())
def test_what_kubernetes_sets_for_a_service_of_this_name_is_no_setting(
    file: Path, name: str, value: str
) -> None:
    file.write_text("", encoding="utf-8")

    assert Config() == load_config(file, {name: value}).config


SECRET_FAULTS = {
    "a line break": ("topsecret\n", "ends with a line break"),
    "a carriage return": ("topsecret\r", "ends with a carriage return"),
    "a blank": (" topsecret", "begins with a blank"),
    "a no-break space": ("topsecret\u00a0", "ends with a no-break space"),
    "quotes": ('"topsecret"', "begins with a quotation mark"),
    "a zero-width space": ("top\u200bsecret", "holds a zero-width space"),
    "a variable": ("${TOP_SECRET}", "the name of a variable"),
}


@pytest.mark.parametrize("value, said", SECRET_FAULTS.values(), ids=SECRET_FAULTS)
@pytest.mark.parametrize("name", ["FEISHU__APP_SECRET", "WEBHOOK__ENCRYPT_KEY", "PAYOUTS__SECRET"])
def test_a_secret_with_a_character_that_nobody_sees_is_refused(
    file: Path, name: str, value: str, said: str
) -> None:
    file.write_text("", encoding="utf-8")

    found = complaint(file, {f"NOTIFIER_{name}": value})
    assert said in found
    assert "topsecret" not in found


@pytest.mark.parametrize(
    "variable", ["FEISHU__APP_ID", "FEISHU__BASE_URL", "STORE__URL", "PAYOUTS__URL", "LOG__LEVEL"]
)
def test_an_end_that_nobody_sees_is_refused_in_every_setting(file: Path, variable: str) -> None:
    file.write_text("", encoding="utf-8")

    with pytest.raises(ConfigError) as error:
        load_config(file, {f"NOTIFIER_{variable}": "anything\r\n"})
    found = str(error.value).split("\n", 1)[0]
    assert f"the environment (NOTIFIER_{variable})" in found
    assert "ends with a line break; remove it" in found


@pytest.mark.parametrize(
    "line, key",
    [
        ("store: {url: 'sqlite:///${DATA}/n.db'}", "store.url"),
        ("feishu: {app_id: 'cli_${DATA}'}", "feishu.app_id"),
        ("feishu: {app_secret: 'topsecret${DATA:-more}'}", "feishu.app_secret"),
        ("feishu: {app_secret: $(DATA)}", "feishu.app_secret"),
        ("feishu: {app_secret: $DATA}", "feishu.app_secret"),
        ("cards: {contact: {zh: '请联系 ${DATA}'}}", "cards.contact.zh"),
        ("groups: {hr: {chat_id: oc_1, operators: ['${DATA}']}}", "groups.hr.operators[0]"),
    ],
)
def test_a_variable_that_was_left_in_the_file_is_named(file: Path, line: str, key: str) -> None:
    file.write_text(line, encoding="utf-8")

    found = complaint(file)
    assert f"{key}: holds ${{DATA}}, the name of a variable" in found
    assert "topsecret" not in found
    assert "more" not in found


def test_a_text_for_people_may_have_white_space_at_its_end(file: Path) -> None:
    file.write_text("cards:\n  contact:\n    zh: |\n      人事部\n", encoding="utf-8")
    assert "人事部\n" == load_config(file, {}).config.cards.contact.zh


@pytest.mark.parametrize(
    "key", ["feishu: {app_secret", "webhook: {encrypt_key", "webhook: {verification_token"]
)
@pytest.mark.parametrize("value", ["012345", "1.2345", "[12345x]", "{a: 12345x}"])
def test_no_error_shows_a_secret(file: Path, key: str, value: str) -> None:
    file.write_text(f"{key}: {value}}}", encoding="utf-8")
    assert "2345" not in complaint(file)


@pytest.mark.parametrize(
    "line", ["feishu: {app_id: 1.50}", "fallback_group: 0123", "groups: {0123: {chat_id: oc_1}}"]
)
def test_text_that_yaml_reads_as_a_number_is_to_be_quoted(file: Path, line: str) -> None:
    file.write_text(line, encoding="utf-8")
    assert "must be text; put it in quotes" in complaint(file)


@pytest.mark.parametrize("name", ["NOTIFIER_HEALTH_PORT", "NOTIFIER_PORT", "NOTIFIER_PAYOUTS_SERVICE_PORT"])
def test_a_wrong_setting_that_looks_like_one_of_kubernetes_is_refused(file: Path, name: str) -> None:
    file.write_text("", encoding="utf-8")
    value = "abc" if name.endswith("SERVICE_PORT") else "8080"
    assert f"{name} is not a setting" in complaint(file, {name: value})


@pytest.mark.parametrize("digits", ["0123", "0o17", "0x12", "1_000", "+5"])
def test_digits_that_would_lose_their_form_are_to_be_quoted(file: Path, digits: str) -> None:
    file.write_text(f"feishu: {{app_id: {digits}}}", encoding="utf-8")
    assert f"{digits} would lose its form as a number; put it in quotes" in complaint(file)

    file.write_text(f"feishu: {{app_id: '{digits}'}}", encoding="utf-8")
    assert digits == load_config(file, {}).config.feishu.app_id


def test_digits_that_keep_their_form_and_numbers_in_any_form_are_taken(file: Path) -> None:
    file.write_text("feishu: {app_id: 7000000000000000001}\nsending: {per_minute: 0x64}", encoding="utf-8")
    found = load_config(file, {}).config

    assert ("7000000000000000001", 100) == (found.feishu.app_id, found.sending.per_minute)


@pytest.mark.parametrize("key", ["cards.contact", "cards.payday", "payouts.contact"])
@pytest.mark.parametrize("value", ["hr@example.com", "Call 13812345678", "Tel. 010-12345678"])
def test_a_line_with_contact_data_is_refused_as_feishu_may_refuse_every_card_with_it(
    file: Path, key: str, value: str
) -> None:
    section, name = key.split(".")
    file.write_text(f"{section}: {{{name}: {{en: '{value}'}}}}", encoding="utf-8")

    found = complaint(file)
    assert f"{key}.en: holds " in found
    assert "Feishu may refuse every card with it" in found
