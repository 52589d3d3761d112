"""Builds dashboard.json, the Grafana dashboard of the notifier: `python deploy/grafana/build.py`.

Grafana's own format has a hundred lines for each panel. Here a panel is one call, and the grid is computed.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

Json = dict[str, Any]
TARGET: Final = Path(__file__).with_name("dashboard.json")
RUNBOOK: Final = "https://example.com/referral-notifier/docs/operations.md"
WIDTH: Final = 24
"""Columns of Grafana's grid."""
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
GREEN, ORANGE, RED = "green", "orange", "red"

YES_NO: Final = {"1": ("yes", GREEN), "0": ("no", RED)}
REFUSED: Final = {"0": ("accepted", GREEN), "1": ("rejected", RED)}


def own(name: str, selector: str = "") -> str:
    """A metric of the chosen job. selector: more conditions, such as `state="dead"`."""
    return f'{name}{{job="$job"{", " if selector else ""}{selector}}}'


def shared(name: str, *labels: str, selector: str = "") -> str:
    """A gauge of the database. All processes report the same value."""
    by = f" by ({', '.join(labels)})" if labels else ""
    return f"max{by} ({own(name, selector)})"


def per_minute(name: str, *labels: str) -> str:
    """How often something is counted in a minute."""
    by = f" by ({', '.join(labels)})" if labels else ""
    return f"60 * sum{by} (rate({own(name)}[$__rate_interval]))"


def in_window(name: str, window: str, *labels: str, selector: str = "") -> str:
    """How often something was counted in this time."""
    by = f" by ({', '.join(labels)})" if labels else ""
    return f"sum{by} (increase({own(name, selector)}[{window}]))"


def quantile(share: float, name: str, *labels: str) -> str:
    """The value of a histogram that this share of its observations does not exceed."""
    by = ", ".join((*labels, "le"))
    return f"histogram_quantile({share}, sum by ({by}) (rate({own(name + '_bucket')}[$__rate_interval])))"


def stat(  # noqa: PLR0913 - the properties of a panel, by name
    title: str,
    text: str,
    query: str,
    *,
    section: str,
    unit: str = "short",
    warn: float | None = None,
    alarm: float | None = None,
    names: dict[str, tuple[str, str]] | None = None,
    width: int = 3,
    legend: str = "",
    without: str = "not known",
) -> Json:
    """One number. warn, alarm: it is orange or red from here. names: a text and a color instead of a value.

    without: the text if there is no value.
    """
    steps: list[Json] = [{"color": GREEN, "value": None}]
    steps += [{"color": ORANGE, "value": warn}] if warn is not None else []
    steps += [{"color": RED, "value": alarm}] if alarm is not None else []
    options = {value: {"text": shown, "color": color} for value, (shown, color) in (names or {}).items()}
    return {
        "type": "stat",
        "title": title,
        "description": text,
        "links": _links(section),
        "gridPos": {"w": width, "h": 4},
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "noValue": without,
                "mappings": [
                    *([{"type": "value", "options": options}] if options else []),
                    {
                        "type": "special",
                        "options": {"match": "nan", "result": {"text": "not known", "color": ORANGE}},
                    },
                ],
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": {
            "colorMode": "background",
            "graphMode": "none",
            "textMode": "value_and_name" if legend else "value",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        },
        "targets": _targets([(query, legend)], is_instant=True),
    }


def graph(
    title: str,
    text: str,
    *queries: tuple[str, str],
    section: str,
    unit: str = "short",
    is_step: bool = False,
    width: int = 8,
) -> Json:
    """Lines over time. queries: expression and legend."""
    return {
        "type": "timeseries",
        "title": title,
        "description": text,
        "links": _links(section),
        "gridPos": {"w": width, "h": 7},
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "min": 0,
                "custom": {
                    "drawStyle": "line",
                    "fillOpacity": 8,
                    "lineInterpolation": "stepAfter" if is_step else "linear",
                    "lineWidth": 1,
                    "showPoints": "never",
                    "stacking": {"mode": "none"},
                },
            },
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": _targets(queries, is_instant=False),
    }


def _links(section: str) -> list[Json]:
    return [{"title": "Runbook", "url": f"{RUNBOOK}#{section}", "targetBlank": True}]


def _targets(queries: Iterable[tuple[str, str]], *, is_instant: bool) -> list[Json]:
    return [
        {
            "refId": chr(ord("A") + number),
            "datasource": DATASOURCE,
            "expr": expression,
            "legendFormat": legend,
            "instant": is_instant,
            "range": not is_instant,
        }
        for number, (expression, legend) in enumerate(queries)
    ]


PROCESSES, RECEIVING, SENDING = "alerts-about-processes", "alerts-about-receiving", "alerts-about-sending"
PAYMENTS, DIGESTS = "alerts-about-payments", "alerts-about-digests-and-reconciliation"
STORE = "alerts-about-the-database"
OPEN = 'state=~"waiting|ready|sending"'
ATTENTION = 'state=~"dead|unknown"'
DECISION = 'state=~"dead|unknown|unconfirmed|failed"'
SHARES = ((0.5, "half of them"), (0.99, "99% of them"))


def durations(name: str, *labels: str) -> list[tuple[str, str]]:
    """The median and the slowest 1% of a histogram."""
    suffix = "".join(f", {{{{{label}}}}}" for label in labels)
    return [(quantile(share, name, *labels), f"{text}{suffix}") for share, text in SHARES]


def overview() -> list[Json]:
    """Is it receiving, is there a leader, what waits, and what needs attention."""
    sent = in_window("notifier_sends_total", "5m", selector='result="sent"')
    not_sent = in_window("notifier_sends_total", "5m", selector='result!="sent"')
    not_accepted = in_window("notifier_payout_calls_total", "30m", selector='result!="accepted"')
    return [
        stat(
            "Receives events",
            "Whether at least one process is connected to Feishu.",
            shared("notifier_connected"),
            names=YES_NO,
            section=RECEIVING,
        ),
        stat(
            "Has a leader",
            "One process leads: it applies events, sends cards, withdraws and submits payouts.",
            shared("notifier_leader"),
            names=YES_NO,
            section=PROCESSES,
        ),
        stat(
            "Feishu and the app",
            "Whether Feishu accepts the calls of the app.",
            shared("notifier_app_refused"),
            names=REFUSED,
            section=RECEIVING,
        ),
        stat(
            "Database readable",
            "If it is not, the values about the queue, payouts and digests are not known.",
            shared("notifier_database_up"),
            names=YES_NO,
            section=STORE,
        ),
        stat(
            "Processes that run",
            "Targets that answer Prometheus.",
            f"sum ({own('up')})",
            section=PROCESSES,
        ),
        stat(
            "Cards that wait",
            "Deliveries that are queued: waiting for a recipient, ready, or being sent.",
            f"sum ({shared('notifier_deliveries', 'state', selector=OPEN)})",
            section=SENDING,
        ),
        stat(
            "Oldest of them",
            "Age of the oldest delivery that waits.",
            shared("notifier_oldest_delivery_seconds"),
            unit="s",
            warn=300,
            alarm=900,
            section=SENDING,
        ),
        stat(
            "Alerts that fire",
            "Alerts of this job. It stays 0 if the rules are not loaded.",
            'count (ALERTS{job="$job", alertstate="firing"}) or vector(0)',
            warn=1,
            section="alerts",
        ),
        stat(
            "Dead or unknown",
            "Deliveries that need a person: they cannot be sent, or they may have arrived.",
            f"sum ({shared('notifier_deliveries', 'state', selector=ATTENTION)})",
            warn=1,
            section=SENDING,
        ),
        stat(
            "Quarantined events",
            "Events that could not be understood. They wait for `notifier events retry` or `drop`.",
            shared("notifier_inbox_events", selector='state="quarantined"'),
            warn=1,
            section=RECEIVING,
        ),
        stat(
            "Missed events, 1 d",
            "Changes that reconciliation found while the processes were connected.",
            f"round({in_window('notifier_events_missed_total', '1d')})",
            warn=1,
            section=RECEIVING,
        ),
        stat(
            "Oldest withdrawal",
            "Age of the oldest withdrawal without a result. Feishu usually answers within a second.",
            shared("notifier_oldest_withdrawal_seconds"),
            unit="s",
            warn=3600,
            alarm=21600,
            section=PAYMENTS,
        ),
        stat(
            "Payouts to decide",
            "Payouts that do not go on until somebody decides.",
            f"sum ({shared('notifier_payouts', 'state', selector=DECISION)})",
            warn=1,
            section=PAYMENTS,
        ),
        stat(
            "Late payouts",
            "Payouts that were not reported as paid in time.",
            shared("notifier_late_payouts"),
            warn=1,
            section=PAYMENTS,
        ),
        stat(
            "Digests not sent",
            "Digests of the last week that were due too long ago.",
            shared("notifier_digests_missed"),
            warn=1,
            section=DIGESTS,
        ),
        stat(
            "Last reconciliation",
            "Time since balances were last compared with Feishu.",
            f"time() - {shared('notifier_reconciliation_last_run_timestamp_seconds')}",
            unit="s",
            warn=43200,
            alarm=86400,
            section=DIGESTS,
        ),
        stat(
            "Messages sent, 5 min",
            "Messages that Feishu accepted. 0 while cards wait: look at the rows below.",
            f"round({sent})",
            width=6,
            section=SENDING,
        ),
        stat(
            "Calls that sent nothing, 5 min",
            "Calls that Feishu refused or did not answer.",
            f"round({not_sent})",
            warn=3,
            alarm=30,
            width=6,
            section=SENDING,
        ),
        stat(
            "Feishu asks to wait",
            "The longest time that Feishu closed a limit for.",
            f"{shared('notifier_quota_blocked_seconds')} or vector(0)",
            unit="s",
            warn=1,
            alarm=60,
            width=6,
            section=SENDING,
        ),
        stat(
            "Payroll calls that fail, 30 min",
            "Calls to the payroll system that were not accepted. They are repeated.",
            f"round({not_accepted})",
            warn=3,
            width=6,
            section=PAYMENTS,
        ),
    ]


def receiving() -> list[Json]:
    """Events and presses, and the connection that they come over."""
    return [
        graph(
            "Events per minute",
            "Events from Feishu by kind, and those that Feishu sent again.",
            (per_minute("notifier_events_received_total", "kind"), "{{kind}}"),
            (per_minute("notifier_events_duplicate_total"), "repeated"),
            section=RECEIVING,
        ),
        graph(
            "Time to acknowledge",
            "From the arrival of an event to its commit. Feishu allows 3 s.",
            *durations("notifier_acknowledgement_seconds", "kind"),
            unit="s",
            section=RECEIVING,
        ),
        graph(
            "Presses per minute",
            "Presses on cards, by what they did.",
            (per_minute("notifier_clicks_total", "result"), "{{result}}"),
            section=RECEIVING,
        ),
        graph(
            "Events with a problem, per hour",
            "Missed: found by reconciliation only. Quarantined: not understood. Not stored: Feishu sends them again. "
            "Rejected: webhook requests that failed a check.",
            (in_window("notifier_events_missed_total", "1h"), "missed"),
            (in_window("notifier_events_quarantined_total", "1h"), "quarantined"),
            (in_window("notifier_events_not_stored_total", "1h"), "not stored"),
            (in_window("notifier_webhook_rejected_total", "1h", "reason"), "rejected: {{reason}}"),
            section=RECEIVING,
        ),
        graph(
            "State of the connection",
            "1: events can arrive at this process. Other states are drawn while they last.",
            (own("notifier_connected"), "{{instance}}"),
            (
                "avg_over_time("
                + own("notifier_connection_state", selector='state=~"connecting|lost|refused"')
                + "[$__rate_interval]) > 0",
                "{{instance}}: {{state}}",
            ),
            is_step=True,
            section=RECEIVING,
        ),
        graph(
            "Connections",
            "Reconnects in the last hour. Foreign connections belong to another program, which receives part of the "
            "events.",
            (in_window("notifier_reconnects_total", "1h", "instance"), "reconnects of {{instance}}"),
            (shared("notifier_foreign_connections"), "foreign connections"),
            section=RECEIVING,
        ),
        graph(
            "Time since the last frame",
            "Long connection only. The time rises to the ping interval and falls again. If it does not fall, the "
            "connection is lost.",
            (own("notifier_last_frame_age_seconds"), "{{instance}}"),
            unit="s",
            section=RECEIVING,
        ),
        graph(
            "Events in the inbox",
            "New: stored and not yet processed. Quarantined: cannot be processed.",
            (shared("notifier_inbox_events", "state"), "{{state}}"),
            section=RECEIVING,
        ),
        graph(
            "Questions to the bot per minute",
            "Messages and menu choices by command and by what was decided, and the answered questions.",
            (per_minute("notifier_questions_total", "command", "treatment"), "{{command}}: {{treatment}}"),
            (per_minute("notifier_answers_total", "command"), "answered: {{command}}"),
            section=RECEIVING,
        ),
    ]


def sending() -> list[Json]:
    """Deliveries from the queue to Feishu, and Feishu's limits."""
    used, left = shared("notifier_quota_used", "limit"), f"min by (limit) ({own('notifier_quota_remaining')})"
    return [
        graph(
            "Calls per minute",
            "Calls that send a message, and calls that update a card, by result.",
            (per_minute("notifier_sends_total", "result"), "send: {{result}}"),
            (per_minute("notifier_card_updates_total", "result"), "update: {{result}}"),
            section=SENDING,
        ),
        graph(
            "Time from event to card",
            "From the arrival of an event to the message that Feishu accepted.",
            *durations("notifier_event_to_card_seconds"),
            unit="s",
            section=SENDING,
        ),
        graph(
            "Deliveries that are not finished",
            "By state. Waiting: the recipient is being looked up. Dead and unknown need a person.",
            (shared("notifier_deliveries", "state"), "{{state}}"),
            section=SENDING,
        ),
        graph(
            "Outcomes of deliveries, per minute",
            "What each call made of its delivery. Postponed: it is tried again.",
            (per_minute("notifier_delivery_outcomes_total", "outcome"), "{{outcome}}"),
            section=SENDING,
        ),
        graph(
            "How long cards wait",
            "Age of the oldest card that waits, and the time to send all that wait at the configured limit.",
            (shared("notifier_oldest_delivery_seconds"), "oldest"),
            (shared("notifier_time_to_drain_seconds"), "time to send all"),
            unit="s",
            section=SENDING,
        ),
        graph(
            "Notices per minute",
            "Notices about balances. A notice joins a card of the same referrer that has not been sent yet.",
            (per_minute("notifier_notices_total"), "notices"),
            (per_minute("notifier_notices_folded_total"), "joined a card"),
            section=SENDING,
        ),
        graph(
            "Used part of each limit",
            "Calls in the present window, as a part of what is allowed. At 100% calls wait for their turn.",
            (f"{used} / ({used} + {left})", "{{limit}}"),
            unit="percentunit",
            width=6,
            section=SENDING,
        ),
        graph(
            "Calls left in the window",
            "Calls that each limit still allows.",
            (left, "{{limit}}"),
            width=6,
            section=SENDING,
        ),
        graph(
            "Waits that Feishu asked for",
            "The rest of the wait. 0: calls are allowed.",
            (shared("notifier_quota_blocked_seconds", "limit"), "{{limit}}"),
            unit="s",
            width=6,
            section=SENDING,
        ),
        graph(
            "Cards with a problem, per hour",
            "Cards that were sent in a lower variant, and cards that could not be made.",
            (in_window("notifier_cards_degraded_total", "1h", "variant"), "sent as {{variant}}"),
            (in_window("notifier_cards_failed_total", "1h"), "could not be made"),
            width=6,
            section=SENDING,
        ),
    ]


def payments() -> list[Json]:
    """Money, from the press to the payment."""
    return [
        stat(
            "Stuck money",
            "Withdrawn money that is late or needs a decision, by currency.",
            shared("notifier_stuck_amount", "currency"),
            legend="{{currency}}",
            without="none",
            warn=0.0001,
            width=12,
            section=PAYMENTS,
        ),
        stat(
            "Money on its way",
            "Withdrawn money that is not reported as paid, by currency. The stuck money is a part of it.",
            shared("notifier_unpaid_amount", "currency"),
            legend="{{currency}}",
            without="none",
            width=12,
            section=PAYMENTS,
        ),
        graph(
            "Withdrawals per hour",
            "Withdrawals by result.",
            (in_window("notifier_withdrawals_total", "1h", "result"), "{{result}}"),
            section=PAYMENTS,
        ),
        graph(
            "Time from press to result",
            "From the press on a card to the result at Feishu.",
            *durations("notifier_withdrawal_seconds"),
            unit="s",
            section=PAYMENTS,
        ),
        graph(
            "Withdrawals without a result",
            "Unclear: a call had no answer, and Feishu is asked again with the same order id.",
            (shared("notifier_open_withdrawals", "state"), "{{state}}"),
            section=PAYMENTS,
        ),
        graph(
            "Payouts that are not paid",
            "By state. The page of the runbook explains the states.",
            (shared("notifier_payouts", "state"), "{{state}}"),
            (shared("notifier_late_payouts"), "late"),
            section=PAYMENTS,
        ),
        graph(
            "Calls to and from the payroll system, per hour",
            "Calls that submit a payout, and reports of the payroll system.",
            (in_window("notifier_payout_calls_total", "1h", "result"), "call: {{result}}"),
            (in_window("notifier_payout_reports_total", "1h", "result"), "report: {{result}}"),
            section=PAYMENTS,
        ),
        graph(
            "Batches of withdrawals",
            "Batches that run, and the age of the oldest in minutes.",
            (shared("notifier_batches"), "running"),
            (f"{shared('notifier_oldest_batch_seconds')} / 60", "oldest, minutes"),
            section=PAYMENTS,
        ),
    ]


def digests() -> list[Json]:
    """Digests, and the comparison of balances."""
    return [
        stat(
            "Next run of each digest",
            "Time until the digest is due.",
            f"{shared('notifier_digest_next_run_timestamp_seconds', 'digest')} - time()",
            unit="s",
            legend="{{digest}}",
            width=12,
            section=DIGESTS,
        ),
        stat(
            "Time since each digest was made",
            "Time since the digest was last made.",
            f"time() - {shared('notifier_digest_last_success_timestamp_seconds', 'digest')}",
            unit="s",
            legend="{{digest}}",
            width=12,
            section=DIGESTS,
        ),
        graph(
            "Late digests",
            "How long each digest has been due. 0: it is not.",
            (shared("notifier_digest_late_seconds", "digest"), "{{digest}}"),
            unit="s",
            section=DIGESTS,
        ),
        graph(
            "Time since the last reconciliation",
            "It should stay below the configured interval. 0: there are no regular runs.",
            (
                f"time() - {shared('notifier_reconciliation_last_run_timestamp_seconds')}",
                "since the last run",
            ),
            (shared("notifier_reconciliation_interval_seconds"), "configured interval"),
            unit="s",
            section=DIGESTS,
        ),
        graph(
            "Accounts of the newest reconciliation",
            "Accounts by result of the comparison with Feishu.",
            (shared("notifier_reconciliation_accounts", "result"), "{{result}}"),
            is_step=True,
            section=DIGESTS,
        ),
        graph(
            "Accounts with a problem",
            "Accounts that differ from Feishu and are read again, and accounts whose referrer cannot be looked up.",
            (shared("notifier_reconciliation_mismatches"), "differ"),
            (shared("notifier_failing_lookups"), "referrer not known"),
            section=DIGESTS,
        ),
    ]


def database() -> list[Json]:
    """Transactions."""
    jobs, commits = "notifier_database_commit_jobs", "notifier_database_commit_seconds"
    shared_by = " / ".join(
        f"sum (rate({own(f'{jobs}_{part}')}[$__rate_interval]))" for part in ("sum", "count")
    )
    return [
        graph(
            "Duration of a transaction",
            "All transactions of all processes.",
            *durations(commits),
            unit="s",
            width=6,
            section=STORE,
        ),
        graph(
            "Transactions per minute",
            "By process.",
            (per_minute(f"{commits}_count", "instance"), "{{instance}}"),
            width=6,
            section=STORE,
        ),
        graph(
            "Work per transaction",
            "How many pieces of work shared a transaction on average. It rises with the load.",
            (shared_by, "pieces"),
            width=6,
            section=STORE,
        ),
        graph(
            "Failed transactions, per hour",
            "By reason.",
            (in_window("notifier_database_errors_total", "1h", "reason"), "{{reason}}"),
            width=6,
            section=STORE,
        ),
    ]


def processes() -> list[Json]:
    """The processes of the job."""
    term = own("notifier_leader_term")
    return [
        graph(
            "Leader",
            "1: this process leads.",
            (own("notifier_leader"), "{{instance}}"),
            is_step=True,
            section=PROCESSES,
        ),
        graph(
            "Starts and changes of the leader",
            "Processes that run on the database, their different configurations, starts in the last 15 minutes, and "
            "changes of the leader in an hour.",
            (shared("notifier_replicas"), "processes"),
            (shared("notifier_recent_starts"), "starts"),
            (shared("notifier_configurations"), "configurations"),
            (f"max (max_over_time({term}[1h])) - min (min_over_time({term}[1h]))", "changes of the leader"),
            is_step=True,
            section=PROCESSES,
        ),
        graph(
            "Failures of components, per hour",
            "Runs that ended with an unexpected error. The component continues after a pause.",
            (in_window("notifier_worker_failures_total", "1h", "worker"), "{{worker}}"),
            section=PROCESSES,
        ),
        graph(
            "CPU",
            "Cores in use, by process.",
            (f"rate({own('process_cpu_seconds_total')}[$__rate_interval])", "{{instance}}"),
            width=6,
            section=PROCESSES,
        ),
        graph(
            "Memory",
            "Resident memory, by process.",
            (own("process_resident_memory_bytes"), "{{instance}}"),
            unit="bytes",
            width=6,
            section=PROCESSES,
        ),
        graph(
            "Open files",
            "Part of the allowed number, by process.",
            (f"{own('process_open_fds')} / {own('process_max_fds')}", "{{instance}}"),
            unit="percentunit",
            width=6,
            section=PROCESSES,
        ),
        stat(
            "Time since the start",
            "By process, with the version.",
            f"(time() - {own('process_start_time_seconds')}) * on (instance) group_left (version) "
            f"{own('notifier_build_info')}",
            unit="s",
            legend="{{instance}}, version {{version}}",
            width=6,
            section=PROCESSES,
        ),
    ]


ROWS: Final = (
    ("Overview", overview),
    ("Receiving", receiving),
    ("Sending and Feishu's limits", sending),
    ("Withdrawals and payouts", payments),
    ("Digests and reconciliation", digests),
    ("Database", database),
    ("Processes", processes),
)


def build() -> Json:
    """The dashboard."""
    return {
        "uid": "referral-notifier",
        "title": "Referral notifier",
        "description": "The service that sends cards about referral rewards and lets people withdraw them.",
        "tags": ["referral-notifier"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "links": [{"type": "link", "title": "Runbook", "url": f"{RUNBOOK}#alerts", "targetBlank": True}],
        "templating": {
            "list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
                {
                    "name": "job",
                    "label": "Job",
                    "type": "query",
                    "datasource": DATASOURCE,
                    "query": {"query": "label_values(notifier_build_info, job)", "refId": "job"},
                    "refresh": 2,
                    "sort": 1,
                },
            ]
        },
        "panels": _place(),
    }


def _place() -> list[Json]:
    """All panels from left to right in rows."""
    placed: list[Json] = []
    top = 0
    for title, panels in ROWS:
        placed.append(
            {
                "type": "row",
                "title": title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1},
            }
        )
        top += 1
        left = height = 0
        for panel in panels():
            size = panel["gridPos"]
            if left + size["w"] > WIDTH:
                top, left, height = top + height, 0, 0
            placed.append(
                panel | {"gridPos": size | {"x": left, "y": top}, "datasource": DATASOURCE},
            )
            left, height = left + size["w"], max(height, size["h"])
        top += height
    return [panel | {"id": number} for number, panel in enumerate(placed, 1)]


def render() -> str:
    """The text of dashboard.json."""
    return json.dumps(build(), indent=1) + "\n"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
