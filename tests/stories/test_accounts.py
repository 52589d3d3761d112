"""Registering referrers: from a file to the first card, through bad rows, kills and faults, each person once."""

import csv
import json
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from notifier.sandbox.settings import DEFAULT_SCOPES, SandboxSettings
from notifier.sandbox.testing import FeishuBox
from support.running import RunningNotifier, clean_environment, running_notifier, texts

CREATE = "/open-apis/hire/v1/referral_account"
MATCH_CREATE = f"POST {CREATE}"
SAMPLE_ACCOUNTS = 4
CLOCK_FILE = "sandbox-clock"


class Tenant:
    """A sandbox without a running notifier: the command alone, with the sandbox's clock."""

    def __init__(self, box: FeishuBox, folder: Path) -> None:
        self.box = box
        self.folder = folder
        self.notifier = RunningNotifier(box, folder)
        self.file = folder / "people.csv"
        self.result = folder / "people.result.csv"

    def start_import(self, *options: str) -> subprocess.Popen[str]:
        """Starts the command. Nobody waits for it."""
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "notifier", "accounts", "import", str(self.file), *options),
                *("--config", str(self.notifier.config)),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )

    def import_file(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Runs the command, while the sandbox's clock goes ten times as fast."""
        with self.hurried():
            return self.notifier.command("accounts", "import", str(self.file), *options)

    @contextmanager
    def hurried(self) -> Iterator[None]:
        """The sandbox's clock goes faster: real limits, but no real minutes."""
        ended = threading.Event()

        def advance() -> None:
            while not ended.wait(0.01):
                self.box.advance(0.3)

        thread = threading.Thread(target=advance)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def write(self, rows: list[str], header: str = "email,mobile") -> None:
        self.file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")

    def outcomes(self) -> dict[int, tuple[str, str]]:
        """Outcome and remedy by row, from the file with the results."""
        with self.result.open(encoding="utf-8-sig", newline="") as file:
            return {int(row["row"]): (row["outcome"], row["remedy"]) for row in csv.DictReader(file)}

    def wait_until_registered(self, least: int) -> None:
        self.box.wait_for(lambda: len(self.registered()) >= least, "some are registered", timeout=60)

    def registered(self) -> list[str]:
        """open_ids with an account at the stand-in that the samples do not have."""
        return [each["open_id"] for each in self.box.accounts()][SAMPLE_ACCOUNTS:]

    def fail_on_contact_data(self, *texts: str) -> None:
        """No address and no number of any person stands in any file or output."""
        state = self.box.state()
        needles = {
            form.encode()
            for person in state["people"]
            for value in self.box.contact(person["open_id"])
            for form in (value, value.removeprefix("+86"))
        }
        places = [path for path in self.folder.rglob("*") if path.is_file() and path != self.file]
        contents = [path.read_bytes() for path in places] + [text.encode() for text in texts]
        assert needles
        assert [] == [needle for needle in needles for content in contents if needle in content]


@pytest.fixture
def tenant(tmp_path: Path) -> Iterator[Tenant]:
    with FeishuBox(SandboxSettings(clock_file=str(tmp_path / CLOCK_FILE))) as box:
        box.advance(0)
        yield Tenant(box, tmp_path)


BAD_ROWS = [
    ("nobody@sandbox.example,", "Feishu knows nobody"),
    ("a person@sandbox.example,", "has a space"),
    ("no-at-sign.example,", "no @"),
    ("two@sandbox.example;more@sandbox.example,", "not one e-mail address"),
    (",1.39E+10", "scientific notation"),
    (",13900000000.0", "a decimal number"),
    (",9012345678", "a 0 or + at its beginning may be lost"),
    (',"=""13900000000"""', "a formula"),
    (",139-abcd-0000", "other characters than digits"),
    (",+86 12345", "the number after +86 is not a mobile number"),
    (",,left over", "more cells than the header"),
    ("lin@sandbox.example,13800000002", "belong to two people"),
    (",+8613900000001", "more than one person"),
    ("resigned@sandbox.example,", "Feishu knows nobody"),
]
"""Each row and what its remedy says."""


def people_with_bad_rows(tenant: Tenant, count: int) -> tuple[list[str], dict[int, str]]:
    """Rows of a file, and the remedy of each bad row."""
    box = tenant.box
    ids = box.add_people(
        [*(f"member.{number:04d}" for number in range(count)), "twin.1", "twin.2", "resigned"]
    )
    box.set_mobile(ids[-3], "+8613900000001")
    box.set_mobile(ids[-2], "+8613900000001")
    box.set_person(ids[-1], status="resigned")
    rows = []
    for number, open_id in enumerate(ids[:count]):
        email, mobile = box.contact(open_id)
        rows.append([f"{email},", f",{mobile.removeprefix('+86')}", f" {email} ,{mobile}"][number % 3])
    bad = [*BAD_ROWS]
    random.Random(5).shuffle(bad)
    expected = {}
    for number, (row, remedy) in enumerate(bad):
        place = 20 * number + 7
        rows.insert(place, row)
        expected[place + 2] = remedy
    return rows, expected


def test_three_hundred_people_are_registered_within_the_limit_and_bad_rows_are_named(tenant: Tenant) -> None:
    rows, expected = people_with_bad_rows(tenant, 300)
    tenant.write(rows)

    ran = tenant.import_file()

    assert 1 == ran.returncode, ran.stderr
    outcomes = tenant.outcomes()
    assert len(rows) == len(outcomes)
    assert {} == {row: outcomes[row] for row, remedy in expected.items() if remedy not in outcomes[row][1]}
    good = [outcome for row, (outcome, _) in outcomes.items() if row not in expected]
    assert Counter({"registered": 300}) == Counter(good)
    assert 300 == len(set(tenant.registered()))
    assert 300 == len(tenant.registered())
    assert 0 == tenant.box.refusals().get(99991400, 0)
    starts = sorted(request["at_ms"] for request in tenant.box.requests(CREATE) if request["path"] == CREATE)
    busiest = max(sum(at <= other < at + 60_000 for other in starts) for at in starts)
    assert (
        50 <= busiest <= 104
    )  # times of the answers, with up to four calls under way; the stand-in counts exactly
    tenant.fail_on_contact_data(ran.stdout, ran.stderr)

    calls = len(starts)
    again = tenant.import_file("--json")
    repeated = json.loads(again.stdout)
    assert Counter({"already registered": 300}) == Counter(
        outcome for row, (outcome, _) in tenant.outcomes().items() if row not in expected
    )
    assert len(rows) == len(repeated["rows"])
    assert 300 == len(tenant.registered())
    # only those that Feishu refused are tried again
    assert calls + 3 == sum(request["path"] == CREATE for request in tenant.box.requests(CREATE))


@pytest.mark.parametrize("is_refused", [False, True], ids=["returns the account", "refuses"])
def test_a_killed_run_is_continued_and_nobody_is_registered_twice(
    tmp_path: Path, *, is_refused: bool
) -> None:
    settings = SandboxSettings(
        clock_file=str(tmp_path / CLOCK_FILE), repeated_create_refused=is_refused, quotas=False
    )
    with FeishuBox(settings) as box:
        box.advance(0)
        tenant = Tenant(box, tmp_path)
        ids = box.add_people(f"member.{number:04d}" for number in range(60))
        tenant.write([f"{box.contact(open_id)[0]}," for open_id in ids])
        for least in (8, 20, 37):
            with tenant.hurried():
                process = tenant.start_import()
                tenant.wait_until_registered(least)
                process.kill()
                process.communicate(timeout=20)
        assert len(tenant.registered()) < 60

        ran = tenant.import_file()

        assert sorted(ids) == sorted(tenant.registered())
        outcomes = tenant.outcomes()
        assert 60 == len(outcomes)
        unclear = [remedy for outcome, remedy in outcomes.values() if outcome == "refused by Feishu"]
        assert [] == [remedy for remedy in unclear if "may have an account already" not in remedy]
        assert not unclear or is_refused
        assert (1 if unclear else 0) == ran.returncode, ran.stdout + ran.stderr
        tenant.fail_on_contact_data(ran.stdout, ran.stderr)


def test_an_interrupted_run_writes_its_results_and_says_how_to_continue(tenant: Tenant) -> None:
    ids = tenant.box.add_people(f"member.{number:04d}" for number in range(40))
    tenant.write([f"{tenant.box.contact(open_id)[0]}," for open_id in ids])
    process = tenant.start_import()
    tenant.wait_until_registered(2)

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)

    assert 1 == process.returncode
    assert "interrupted. Run the same command again" in err
    outcomes = [outcome for outcome, _ in tenant.outcomes().values()]
    assert {"registered", "not tried"} == set(outcomes)
    assert outcomes.count("registered") == len(tenant.registered())

    assert 0 == tenant.import_file().returncode
    assert sorted(ids) == sorted(tenant.registered())


def start_import(notifier: RunningNotifier, people: Path) -> subprocess.Popen[bytes]:
    """Start the command beside a notifier. Nobody waits for it."""
    words = ("accounts", "import", str(people), "--config", str(notifier.config))
    return subprocess.Popen(
        [sys.executable, "-m", "notifier", *words], env=clean_environment(), stdout=subprocess.DEVNULL
    )


def test_the_first_reward_after_the_import_shows_its_change(tmp_path: Path, feishu_box: FeishuBox) -> None:
    """Chen and Lin have balances. Nobody is notified of them, but of what is added."""
    with running_notifier(feishu_box, tmp_path) as notifier:
        people = tmp_path / "people.csv"
        people.write_text("邮箱;手机号\r\nlin@sandbox.example;\r\n;138 0000 0002\r\n", encoding="gbk")
        ran = notifier.command("accounts", "import", str(people))
        assert 0 == ran.returncode, ran.stdout + ran.stderr
        assert [] == feishu_box.all_messages()

        feishu_box.change_balance("7000000000000000001", cash={"CNY": "+149.50"})
        feishu_box.wait_for(lambda: feishu_box.messages("ou_sandbox_lin"), "the card", timeout=20)

        shown = " ".join(texts(feishu_box.messages("ou_sandbox_lin")[0]["content"]))
        assert "149.50" in shown
        assert "500.00" in shown
        assert 1 == len(feishu_box.all_messages())
        accounts = json.loads(notifier.command("accounts", "list", "--json").stdout)
        assert [("7000000000000000001", "active"), ("7000000000000000002", "active")] == [
            (each["account_id"], each["state"]) for each in accounts
        ]
        assert [True, False] == [each["last_event_at"] is not None for each in accounts]
        assert "80 USD" == accounts[1]["balance"]


def test_an_event_that_arrives_before_the_registration_is_stored_is_notified_once(
    tmp_path: Path, feishu_box: FeishuBox
) -> None:
    """Feishu sends it while the command still reads the new account."""
    read = f"GET {CREATE}/get_account_assets"
    [newcomer] = feishu_box.add_people(["newcomer"])
    with running_notifier(feishu_box, tmp_path) as notifier:
        fault = feishu_box.add_call_fault({"match": read, "action": "delay", "seconds": 2, "times": 1})
        people = tmp_path / "people.csv"
        people.write_text("email\nnewcomer@sandbox.example\n", encoding="utf-8")
        process = start_import(notifier, people)
        feishu_box.wait_for(lambda: feishu_box.count_call_fault_hits(fault), "the read has begun", timeout=60)
        account = feishu_box.accounts()[-1]["account_id"]
        feishu_box.change_balance(account, points=30)
        feishu_box.wait_for(lambda: feishu_box.messages(newcomer), "the card", timeout=30)
        assert 0 == process.wait(60)

        feishu_box.change_balance(account, points=12)
        feishu_box.wait_for(lambda: len(feishu_box.messages(newcomer)) == 2, "the next card", timeout=30)

        first, second = (" ".join(texts(each["content"])) for each in feishu_box.messages(newcomer))
        assert "30" in first
        assert "12" in second
        assert "42" in second


def test_an_event_between_the_call_and_its_stored_result_keeps_its_change(
    tmp_path: Path, feishu_box: FeishuBox
) -> None:
    """The event waits until the registration is stored. Its change is the difference to the balance before."""
    [newcomer] = feishu_box.add_people(["newcomer"])
    notifier = RunningNotifier(feishu_box, tmp_path)
    fault = feishu_box.add_call_fault(
        {"match": f"GET {CREATE}/get_account_assets", "action": "delay", "seconds": 2, "times": 1}
    )
    people = tmp_path / "people.csv"
    people.write_text("email\nnewcomer@sandbox.example\n", encoding="utf-8")
    process = start_import(notifier, people)
    feishu_box.wait_for(lambda: feishu_box.count_call_fault_hits(fault), "the read has begun", timeout=60)
    account = feishu_box.accounts()[-1]["account_id"]
    feishu_box.change_balance(account, points=30)
    assert 0 == process.wait(60)

    notifier.start()
    try:
        feishu_box.wait_for(lambda: feishu_box.messages(newcomer), "the card", timeout=30)
        notifier.wait_until_settled()
        [card] = feishu_box.messages(newcomer)
        assert "+30" in " ".join(texts(card["content"]))
    finally:
        notifier.kill()


def start_failing_after(
    tenant: Tenant, registered: int, fault: dict[str, object]
) -> subprocess.CompletedProcess[str]:
    """Imports 12 people. The fault begins when some are registered."""
    ids = tenant.box.add_people(f"member.{number:04d}" for number in range(12))
    tenant.write([f"{tenant.box.contact(open_id)[0]}," for open_id in ids])
    with tenant.hurried():
        process = tenant.start_import()
        tenant.wait_until_registered(registered)
        tenant.box.add_call_fault({"match": MATCH_CREATE, **fault})
        out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def test_a_scope_that_is_removed_half_way_stops_the_run_with_its_name(tenant: Tenant) -> None:
    fault: dict[str, object] = {"action": "code", "code": 99991672, "msg": "Access denied."}
    ran = start_failing_after(tenant, 3, fault)

    assert 1 == ran.returncode
    assert "the scope hire:referral_account (Update referral account) is missing" in ran.stderr
    assert "Run the same command again" in ran.stderr
    outcomes = [outcome for outcome, _ in tenant.outcomes().values()]
    assert {"registered", "not tried"} == set(outcomes)
    assert outcomes.count("registered") == len(tenant.registered())

    tenant.box.clear_call_faults()
    assert 0 == tenant.import_file().returncode
    assert 12 == len(tenant.registered()) == len(set(tenant.registered()))
    tenant.fail_on_contact_data(ran.stdout, ran.stderr)


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "code", "code": 99991663, "times": 1},
        {
            "action": "code",
            "code": 99991400,
            "http_status": 429,
            "headers": {"x-ogw-ratelimit-reset": "2"},
            "times": 3,
        },
        {"action": "code", "code": 1002001, "http_status": 500, "times": 2},
        {"action": "reset_after", "times": 1},
        {"action": "reset", "times": 2},
        {"action": "http", "http_status": 502, "body": "<html>", "times": 1},
    ],
    ids=["token expired", "429", "system error", "answer lost", "connection reset", "gateway"],
)
def test_what_passes_half_way_is_repeated_and_nobody_is_registered_twice(
    tenant: Tenant, fault: dict[str, object]
) -> None:
    ran = start_failing_after(tenant, 2, fault)

    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert Counter({"registered": 12}) == Counter(outcome for outcome, _ in tenant.outcomes().values())
    assert 12 == len(tenant.registered()) == len(set(tenant.registered()))


def test_feishu_that_does_not_answer_any_more_stops_the_run(tenant: Tenant) -> None:
    ran = start_failing_after(tenant, 2, {"action": "reset"})

    assert 1 == ran.returncode
    assert "cannot be reached" in ran.stderr
    assert {"registered", "outcome unknown", "not tried"} >= {
        outcome for outcome, _ in tenant.outcomes().values()
    }

    tenant.box.clear_call_faults()
    assert 0 == tenant.import_file().returncode
    assert 12 == len(tenant.registered()) == len(set(tenant.registered()))


@pytest.mark.parametrize(
    "content, problem",
    [
        (b"", "the file is empty"),
        (b"  \r\n", "the file is empty"),
        (b"email,mobile\r\n,\r\n", "a header but no people"),
        (b"name,office\nA,B\n", "no column `email` or `mobile`"),
        (b"email,e-mail\na@b.example,c@d.example\n", "the header of column 2 is a duplicate"),
        (b"PK\x03\x04 and so on", "an Excel workbook"),
        (bytes(range(256)) * 40, "not a text file"),
        (b'email\n"a@b.example\n', "a quote without its pair"),
        (b"email\n" + b"a@b.example\n" * 20_001, "more than 20000 rows"),
    ],
)
def test_a_file_that_cannot_be_used_ends_the_command_before_it_begins(
    tenant: Tenant, content: bytes, problem: str
) -> None:
    tenant.file.write_bytes(content)

    _, err = tenant.start_import().communicate(timeout=60)

    assert problem in err
    assert [] == tenant.box.requests()
    assert not tenant.result.exists()
    assert not (tenant.folder / "notifier.db").exists()


def test_a_directory_a_missing_file_and_100_megabytes_are_refused_without_reading(tenant: Tenant) -> None:
    tenant.file.mkdir()
    process = tenant.start_import()
    _, err = process.communicate(timeout=60)
    assert (2, True) == (process.returncode, "this is a directory" in err)

    tenant.file.rmdir()
    process = tenant.start_import()
    _, err = process.communicate(timeout=60)
    assert (2, True) == (process.returncode, "no such file" in err)

    with tenant.file.open("wb") as file:
        file.truncate(100_000_000)
    process = tenant.start_import()
    _, err = process.communicate(timeout=60)
    assert (2, True) == (process.returncode, "larger than 5 MB" in err)


def test_a_dry_run_registers_nobody_and_writes_nothing(tenant: Tenant) -> None:
    [newcomer] = tenant.box.add_people(["newcomer"])
    tenant.write(["newcomer@sandbox.example,", "bad,", f",{tenant.box.contact(newcomer)[1]}"])

    ran = tenant.import_file("--dry-run", "--json")

    rows = json.loads(ran.stdout)["rows"]
    assert ["would_register", "invalid", "same"] == [row["outcome"] for row in rows]
    assert not tenant.box.requests(CREATE)
    assert not tenant.result.exists()
    assert not (tenant.folder / "notifier.db").exists()
    tenant.notifier.command("migrate")
    assert "No accounts" in tenant.notifier.command("accounts", "list").stdout


def test_a_row_that_repeats_a_refused_one_is_tried_by_itself(tenant: Tenant) -> None:
    ids = tenant.box.add_people(["first", "second"])
    email, mobile = tenant.box.contact(ids[0])[0], tenant.box.contact(ids[1])[1]
    tenant.write(
        [f"{email},{mobile}", f"{email},", f"{email},{mobile}", "no@sandbox.example,", "no@sandbox.example,"]
    )

    ran = tenant.import_file("--json")

    rows = json.loads(ran.stdout)["rows"]
    assert ["invalid", "registered", "invalid", "refused", "refused"] == [row["outcome"] for row in rows]
    assert [ids[0]] == tenant.registered()


def test_without_the_scope_for_look_ups_everybody_is_registered_and_it_is_mentioned(tenant: Tenant) -> None:
    tenant.box.set_scopes({"hire:referral_account"})
    ids = tenant.box.add_people(["newcomer", "other"])
    email, mobile = tenant.box.contact(ids[0])
    tenant.write([f"{email},", f",{mobile}", f"{tenant.box.contact(ids[1])[0]},{mobile}"])

    ran = tenant.import_file()

    assert 1 == ran.returncode
    assert "contact:user.id:readonly" in ran.stderr
    outcomes = tenant.outcomes()
    assert ("registered", ("same person as an earlier row", "same as row 2")) == (outcomes[2][0], outcomes[3])
    assert "more than one person" in outcomes[4][1]
    assert [ids[0]] == tenant.registered()

    tenant.import_file()
    assert ["already registered", "already registered", "refused by Feishu"] == [
        outcome for outcome, _ in tenant.outcomes().values()
    ]


def test_an_account_is_switched_off_and_on_and_read_again(tmp_path: Path, feishu_box: FeishuBox) -> None:
    account = "7000000000000000001"
    notifier = RunningNotifier(feishu_box, tmp_path)
    assert 0 == notifier.command("accounts", "register", "--email", "lin@sandbox.example").returncode

    asked = notifier.command("accounts", "disable", account)
    assert (2, True) == (asked.returncode, "add --yes" in asked.stderr)
    for words in (("show", "7"), ("enable", "7"), ("disable", "7", "--yes")):
        ran = notifier.command("accounts", *words)
        assert (1, "notifier: there is no account 7; `notifier accounts list` shows them.\n") == (
            ran.returncode,
            ran.stderr,
        )
    assert 0 == notifier.command("accounts", "disable", account, "--yes").returncode
    assert 2 == feishu_box.account(account)["status"]
    assert account in notifier.command("accounts", "list", "--state", "deactivated").stdout

    feishu_box.change_balance(account, points=30)
    again = notifier.command("accounts", "register", "--email", "lin@sandbox.example", "--json")
    [row] = json.loads(again.stdout)["rows"]
    assert (1, "deactivated") == (again.returncode, row["outcome"])
    assert "notifier accounts enable" in row["remedy"]
    enabled = notifier.command("accounts", "enable", account, "--json")
    assert [{"account_id": account, "problem": None}] == json.loads(enabled.stdout)
    again = notifier.command("accounts", "register", "--email", "lin@sandbox.example", "--json")
    assert "known" == json.loads(again.stdout)["rows"][0]["outcome"]
    assert 1 == feishu_box.account(account)["status"]
    shown = json.loads(notifier.command("accounts", "show", account, "--json").stdout)
    assert "active" == shown["state"]
    assert ["enabled", "deactivated", "registered"] == [each["outcome"] for each in shown["audit"]]
    assert {"command line"} == {each["actor"] for each in shown["audit"]}


@pytest.mark.parametrize("is_running", [False, True], ids=["alone", "beside the service"])
def test_sync_names_the_balances_that_differed(
    tmp_path: Path, feishu_box: FeishuBox, *, is_running: bool
) -> None:
    account, more = (
        "7000000000000000001",
        "reconciliation: {grace_seconds: 0, on_connect: false, every_hours: null}\n",
    )
    notifier = RunningNotifier(feishu_box, tmp_path, more=more)
    for name in ("lin", "chen"):
        assert 0 == notifier.command("accounts", "register", "--email", f"{name}@sandbox.example").returncode
    if is_running:
        notifier.start()
    try:
        feishu_box.hold()
        feishu_box.change_balance(account, points=30)

        ran = notifier.command("accounts", "sync", "--json")

        assert "balance.recovered" not in ran.stderr
        report = json.loads(ran.stdout)
        assert (0, True, is_running) == (ran.returncode, report["finished"], report["service_running"])
        assert [account] == [each["account_id"] for each in report["differences"]]
        assert "120 points" in report["differences"][0]["before"]
        if not is_running:
            assert "150 points" in report["differences"][0]["after"]
            assert [] == feishu_box.all_messages()
            notifier.start()
        feishu_box.wait_for(lambda: feishu_box.messages("ou_sandbox_lin"), "the card", timeout=30)
        assert "+30" in " ".join(texts(feishu_box.messages("ou_sandbox_lin")[0]["content"]))
    finally:
        if notifier.has_started:
            notifier.kill()


def test_people_are_found_for_the_configuration_and_others_are_named_with_the_reason(
    tmp_path: Path, feishu_box: FeishuBox
) -> None:
    notifier = RunningNotifier(feishu_box, tmp_path)
    feishu_box.set_person("ou_sandbox_tanaka", status="resigned")
    feishu_box.set_person("ou_sandbox_lin", status="out_of_range")
    chen = feishu_box.contact("ou_sandbox_chen")[1].removeprefix("+86")
    wanted = [f"--email={name}@sandbox.example" for name in ("zhou", "tanaka", "lin")]

    ran = notifier.command("people", "find", *wanted, "--mobile", chen)

    assert 1 == ran.returncode
    assert [
        "operators: [ou_sandbox_zhou, ou_sandbox_chen]  # Zhou Wei (sample), Chen Zhixing (sample)",
        "tanaka@sandbox.example: has left the company",
    ] == ran.stdout.splitlines()[:2]
    assert "lin@sandbox.example: not found" in ran.stdout

    feishu_box.set_scopes(["contact:user.id:readonly"])
    [found] = json.loads(notifier.command("people", "find", wanted[0], "--json").stdout)
    assert ("ou_sandbox_zhou", None) == (found["open_id"], found["name"])
    feishu_box.set_scopes([])
    refused = notifier.command("people", "find", wanted[0])
    assert 2 == refused.returncode
    assert "contact:user.id:readonly (Obtain user ID via email or mobile number) is missing" in refused.stderr


def test_the_groups_of_the_bot_are_listed_with_their_name_in_the_configuration(
    tmp_path: Path, feishu_box: FeishuBox
) -> None:
    notifier = RunningNotifier(feishu_box, tmp_path)
    feishu_box.set_group("oc_sandbox_fallback", has_bot=False)
    for number in range(120):
        feishu_box.add_group(f"oc_sandbox_more_{number}", f"更多 {number}")

    ran = notifier.command("groups")
    listed = json.loads(notifier.command("groups", "--json").stdout)

    assert 0 == ran.returncode
    assert ["oc_sandbox_hr", "hr"] == ran.stdout.splitlines()[1].split()[:2]
    assert "groups.fallback (oc_sandbox_fallback): the bot is not a member" in ran.stdout
    assert 122 == len(listed) == len({each["chat_id"] for each in listed})
    assert [False] == [each["has_bot"] for each in listed if each["chat_id"] == "oc_sandbox_fallback"]

    feishu_box.set_scopes([])
    assert "im:chat:readonly (Obtain group information) is missing" in notifier.command("groups").stderr


DENIAL = "Only the referrer or an authorized member"
OFFER = "withdrawals:\n  offer_to: [hr]\nroutes:\n  - name: all\n    to: [hr]\n"


def with_operator_by_email(
    box: FeishuBox, folder: Path, email: str = "zhou@sandbox.example"
) -> RunningNotifier:
    notifier = RunningNotifier(box, folder, more=OFFER)
    text = notifier.config.read_text(encoding="utf-8").replace("ou_sandbox_zhou", email)
    notifier.config.write_text(text, encoding="utf-8")
    return notifier


def test_an_operator_by_e_mail_address_may_withdraw_and_the_address_is_stored_nowhere(
    tmp_path: Path, feishu_box: FeishuBox
) -> None:
    notifier = with_operator_by_email(feishu_box, tmp_path)
    examined = {
        each["id"]: each for each in json.loads(notifier.command("doctor", "--json").stdout)["findings"]
    }
    assert "ok" == examined["operators.hr"]["state"]
    notifier.start()
    try:
        feishu_box.change_balance("7000000000000000001", points=1)
        feishu_box.wait_for(lambda: feishu_box.messages("oc_sandbox_hr"), "the card", timeout=20)
        notifier.wait_until_settled()
        message = feishu_box.messages("oc_sandbox_hr")[0]
        value = find_button(message["content"])

        denied = feishu_box.click(message["message_id"], "ou_sandbox_chen", value)
        accepted = feishu_box.click(message["message_id"], "ou_sandbox_zhou", value)

        assert DENIAL in json.dumps(denied["toast"])
        assert DENIAL not in json.dumps(accepted["toast"])
        feishu_box.wait_for(feishu_box.withdrawals, "the withdrawal", timeout=20)
        assert "operators.resolved" in notifier.log
        assert "by e-mail address: ou_sandbox_zhou" in notifier.command("audit").stdout
    finally:
        notifier.kill()
    places = [path for path in tmp_path.rglob("*") if path.is_file() and path != notifier.config]
    assert [] == [path for path in places if b"zhou@sandbox" in path.read_bytes()]


def find_button(content: object) -> object:
    """The value of the first button of a card."""
    if isinstance(content, dict):
        if content.get("tag") == "button":
            for behavior in content.get("behaviors", []):
                return behavior["value"]
            return content.get("value")
        content = list(content.values())
    if isinstance(content, list):
        return next((found for each in content if (found := find_button(each)) is not None), None)
    return None


def test_an_unknown_operator_and_a_missing_scope_end_the_start(tmp_path: Path, feishu_box: FeishuBox) -> None:
    notifier = with_operator_by_email(feishu_box, tmp_path, "nobody@sandbox.example")
    notifier.start(connected=False)
    assert 2 == notifier.wait_end()
    assert "groups.hr.operators[0]: Feishu finds nobody with this e-mail address" in notifier.log
    assert "nobody@" not in notifier.log
    assert "groups.hr.operators[0]" in notifier.command("doctor").stdout

    feishu_box.set_scopes(DEFAULT_SCOPES - {"contact:user.id:readonly"})
    notifier.start(connected=False)
    assert 2 == notifier.wait_end()
    assert (
        "groups.hr.operators[0]: an e-mail address needs the scope contact:user.id:readonly" in notifier.log
    )


def test_while_feishu_does_not_answer_nobody_by_e_mail_address_may_act(
    tmp_path: Path, feishu_box: FeishuBox
) -> None:
    feishu_box.add_call_fault(
        {
            "match": "POST /open-apis/contact/v3/users/batch_get_id",
            "action": "code",
            "code": 40003,
            "http_status": 500,
        }
    )
    notifier = with_operator_by_email(feishu_box, tmp_path)
    notifier.start()
    try:
        feishu_box.change_balance("7000000000000000001", points=1)
        feishu_box.wait_for(lambda: feishu_box.messages("oc_sandbox_hr"), "the card", timeout=20)
        notifier.wait_until_settled()
        message = feishu_box.messages("oc_sandbox_hr")[0]
        value = find_button(message["content"])

        denied = feishu_box.click(message["message_id"], "ou_sandbox_zhou", value)

        assert DENIAL in json.dumps(denied["toast"])
        assert [] == feishu_box.withdrawals()
        assert "operators.unresolved" in notifier.log
    finally:
        notifier.kill()


@pytest.mark.postgresql
def test_registration_and_doctor_on_a_server(store_url: str, tmp_path: Path, feishu_box: FeishuBox) -> None:
    notifier = RunningNotifier(feishu_box, tmp_path, store_url=store_url)
    file = tmp_path / "people.csv"
    file.write_text("email\nlin@sandbox.example\nbad\n", encoding="utf-8")

    would = notifier.command("accounts", "import", str(file), "--dry-run", "--json")
    ran = notifier.command("accounts", "import", str(file), "--json")

    for each, first in ((would, "would_register"), (ran, "registered")):
        assert [first, "invalid"] == [row["outcome"] for row in json.loads(each.stdout)["rows"]], each.stderr
    notifier.start()
    try:
        found = json.loads(notifier.command("doctor", "--json").stdout)["findings"]
    finally:
        notifier.kill()
    states = {each["id"]: each["state"] for each in found}
    assert ("ok", "ok", "ok", "ok") == tuple(
        states[name] for name in ("database", "schema", "process", "accounts")
    ), found
