"""All tables. Times are milliseconds since the epoch (UTC); amounts are whole ten-thousandths (domain/money)."""

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
    text,
)

from notifier.store.schema.answer_tables import answers, questions
from notifier.store.schema.digest_tables import (
    Id,
    batch_items,
    batches,
    digest_files,
    digest_runs,
    digest_schedules,
    metadata,
    panel_buttons,
)

__all__ = [
    "accounts",
    "answers",
    "attempts",
    "audit",
    "balances",
    "batch_items",
    "batches",
    "buttons",
    "card_updates",
    "changes",
    "deliveries",
    "delivery_notices",
    "digest_files",
    "digest_runs",
    "digest_schedules",
    "inbox",
    "is_ended",
    "is_open",
    "leadership",
    "metadata",
    "notices",
    "panel_buttons",
    "payouts",
    "preferences",
    "questions",
    "rate_limits",
    "recipients",
    "reconciliation_runs",
    "registrations",
    "schema_info",
    "snapshots",
    "withdrawals",
    "workers",
]

inbox = Table(
    "inbox",
    metadata,
    Column("id", Id, primary_key=True),
    # App that received the event.
    Column("app_id", String(64), nullable=False),
    # Feishu's event id: the idempotency key of the event.
    Column("event_key", String(128), nullable=False),
    # Feishu's event type.
    Column("event_type", String(128), nullable=False),
    # Tenant that the event belongs to.
    Column("tenant_key", String(64), nullable=False),
    # When Feishu created the event, in ms.
    Column("created_at", BigInteger, nullable=False),
    # When the event was stored, in ms.
    Column("received_at", BigInteger, nullable=False),
    # Event as JSON bytes, verbatim.
    Column("payload", LargeBinary, nullable=False),
    # InboxState: new, done, ignored, quarantined.
    Column("state", String(16), nullable=False),
    # Why the event was ignored or quarantined.
    Column("reason", Text),
    UniqueConstraint("app_id", "event_key"),
)
Index("ix_inbox_new", inbox.c.id, sqlite_where=text("state = 'new'"), postgresql_where=text("state = 'new'"))
Index(
    "ix_inbox_quarantined",
    inbox.c.id,
    sqlite_where=text("state = 'quarantined'"),
    postgresql_where=text("state = 'quarantined'"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Id, primary_key=True),
    # Tenant of the account.
    Column("tenant_key", String(64), nullable=False),
    # App that reads the account.
    Column("app_id", String(64), nullable=False),
    # Feishu's id of the account, unique per tenant and app.
    Column("account_id", String(64), nullable=False),
    # Feishu's modification time of the newest snapshot, in ms. NULL: no snapshot yet.
    Column("modified_at", BigInteger),
    # When Feishu reported the newest snapshot, in ms.
    Column("reported_at", BigInteger),
    # open_id of the referrer. NULL while looked_up_at is set: Feishu does not know the account.
    Column("referrer_open_id", String(64)),
    # Chinese name of the referrer.
    Column("referrer_name_zh", Text, nullable=False, server_default=""),
    # English name of the referrer.
    Column("referrer_name_en", Text, nullable=False, server_default=""),
    # When Feishu last answered a referrer look-up, in ms. NULL: never.
    Column("looked_up_at", BigInteger),
    # When the next look-up may start, in ms. A running look-up leases the account until then.
    Column("lookup_due_at", BigInteger, nullable=False, server_default="0"),
    # When the oldest delivery began to wait for the referrer, in ms. NULL: none waits.
    Column("waits_since", BigInteger),
    # Failed look-ups since the last success.
    Column("lookup_attempts", Integer, nullable=False, server_default="0"),
    # Reason of the last failed look-up. NULL after a success.
    Column("lookup_error", Text),
    # When Feishu last answered that the account is deactivated, in ms. NULL: active or not known.
    Column("deactivated_at", BigInteger),
    # When a reconciliation read last matched the ledger, in ms.
    Column("confirmed_at", BigInteger),
    # modified_at of the ledger when a read first differed from it, in ms. NULL: no mismatch.
    Column("mismatch_modified_at", BigInteger),
    # When to read the account again before its regular turn, in ms. NULL: no recheck planned.
    Column("recheck_at", BigInteger),
    # modified_at of the newest balance that came from a read instead of an event, in ms.
    Column("recovered_modified_at", BigInteger),
    # Reconciliation run that counts the recovered balance as missed. NULL: none, or its event has arrived since.
    Column("missed_run_id", Id),
    UniqueConstraint("tenant_key", "app_id", "account_id"),
)
_REFERRER_UNKNOWN = text("looked_up_at IS NULL")
Index(
    "ix_accounts_referrer_unknown",
    accounts.c.lookup_due_at,
    sqlite_where=_REFERRER_UNKNOWN,
    postgresql_where=_REFERRER_UNKNOWN,
)
_HAS_WAITING = text("waits_since IS NOT NULL")
Index(
    "ix_accounts_waits",
    accounts.c.lookup_due_at,
    accounts.c.waits_since,
    sqlite_where=_HAS_WAITING,
    postgresql_where=_HAS_WAITING,
)
Index("ix_accounts_modified", accounts.c.modified_at, accounts.c.id)
Index("ix_accounts_referrer", accounts.c.referrer_open_id)
_IS_CONFIRMED = text("confirmed_at IS NOT NULL")
Index(
    "ix_accounts_confirmed",
    accounts.c.confirmed_at,
    sqlite_where=_IS_CONFIRMED,
    postgresql_where=_IS_CONFIRMED,
)
_NEEDS_RECHECK = text("recheck_at IS NOT NULL")
Index(
    "ix_accounts_recheck", accounts.c.recheck_at, sqlite_where=_NEEDS_RECHECK, postgresql_where=_NEEDS_RECHECK
)

balances = Table(
    "balances",
    metadata,
    Column("account_ref", Id, ForeignKey("accounts.id"), primary_key=True),
    # Kind: cash or points.
    Column("kind", String(8), primary_key=True),
    # Currency code of the asset; empty for points.
    Column("currency", String(16), primary_key=True),
    # Current balance, in ten-thousandths.
    Column("amount", BigInteger, nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account_ref", Id, ForeignKey("accounts.id"), nullable=False),
    # Feishu's modification time of the balances, in ms.
    Column("modified_at", BigInteger, nullable=False),
    # When Feishu first reported these balances, in ms.
    Column("reported_at", BigInteger, nullable=False),
    # All balances as canonical text (domain.ledger.content_of).
    Column("content", Text, nullable=False),
    # inbox.id of the first event with these balances. No foreign key, because inbox rows expire earlier.
    Column("inbox_id", Id),
    UniqueConstraint("account_ref", "modified_at", "content"),
)

changes = Table(
    "changes",
    metadata,
    Column("id", Id, primary_key=True),
    # Snapshot that shows the change.
    Column("snapshot_id", Id, ForeignKey("snapshots.id"), nullable=False),
    Column("account_ref", Id, ForeignKey("accounts.id"), nullable=False),
    # Kind: cash or points.
    Column("kind", String(8), nullable=False),
    # Currency code of the asset; empty for points.
    Column("currency", String(16), nullable=False),
    # Balance before the change, in ten-thousandths.
    Column("before", BigInteger, nullable=False),
    # Balance after the change, in ten-thousandths.
    Column("after", BigInteger, nullable=False),
    # modified_at of the snapshot, in ms.
    Column("modified_at", BigInteger, nullable=False),
    UniqueConstraint("snapshot_id", "kind", "currency"),
)
Index("ix_changes_period", changes.c.modified_at, changes.c.account_ref)

notices = Table(
    "notices",
    metadata,
    Column("id", Id, primary_key=True),
    # Idempotency key of the notice.
    Column("notice_key", String(64), nullable=False, unique=True),
    Column("account_ref", Id, ForeignKey("accounts.id"), nullable=False),
    # NoticeReason.
    Column("reason", String(24), nullable=False),
    # When the balance changed at Feishu, in ms.
    Column("occurred_at", BigInteger, nullable=False),
    # In ms.
    Column("created_at", BigInteger, nullable=False),
    # JSON [[kind, currency, before, after], ...]; amounts are decimal text.
    Column("changes", Text, nullable=False),
    # 1: a reconciliation read found the change, as its event is missing. 0: an event reported it.
    Column("recovered", Integer, nullable=False, server_default="0"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Id, primary_key=True),
    # Idempotency key: source of the uuid that Feishu receives.
    Column("delivery_key", String(40), nullable=False, unique=True),
    # Account that the card shows. NULL: the card covers several accounts.
    Column("account_ref", Id, ForeignKey("accounts.id")),
    # Configured target: `referrer` or a group name.
    Column("target", String(64), nullable=False),
    # Feishu's id type of receive_id. Empty: the recipient is not resolved yet.
    Column("receive_id_type", String(16), nullable=False, server_default=""),
    # open_id or chat_id of the recipient. Empty: the recipient is not resolved yet.
    Column("receive_id", String(128), nullable=False, server_default=""),
    # DeliveryState.
    Column("state", String(16), nullable=False),
    # CardVariant of the content.
    Column("variant", String(16), nullable=False),
    # Feishu's message type of the body.
    Column("msg_type", String(16)),
    # Message content. It is set before the first call and does not change for a uuid. NULL: not rendered.
    Column("body", Text),
    # Why the variant is lower than `full`. NULL: it is not.
    Column("degraded_reason", Text),
    # When the next attempt may start, in ms. For `held`: when the hold ends.
    Column("due_at", BigInteger, nullable=False),
    # HoldReason of the newest hold. NULL: it was never held.
    Column("hold_reason", String(16)),
    # Number of attempts that have started.
    Column("attempts", Integer, nullable=False, server_default="0"),
    # In ms. A manual retry and the end of a hold reset it, because the age of the queue counts from it.
    Column("created_at", BigInteger, nullable=False),
    # When the state last changed, in ms. For `sent`: when Feishu accepted the message.
    Column("updated_at", BigInteger, nullable=False),
    # Start of the first attempt, in ms. The retry policy counts from it.
    Column("first_tried_at", BigInteger),
    # Start of the first call with an unknown outcome, in ms. NULL: no such call.
    Column("unknown_since", BigInteger),
    # Process that holds the lease. NULL: not leased.
    Column("worker_id", String(40)),
    # Why the fallback group receives the card. NULL: it is not rerouted.
    Column("reroute_reason", Text),
    # Delivery that this delivery replaces. NULL: none.
    Column("rerouted_from", Id, ForeignKey("deliveries.id")),
    # Feishu's id of the sent message.
    Column("message_id", String(64)),
    # Feishu's id of the chat that holds the message.
    Column("chat_id", String(64)),
    # Reason of the last failure.
    Column("last_error", Text),
    # Feishu's error code of the last failure.
    Column("last_code", Integer),
    # Feishu's log id (X-Tt-Logid) of the last call.
    Column("log_id", String(128)),
    # Withdrawal that the card shows. NULL: the card shows something else.
    Column("order_id", String(64)),
    # Digest run that the delivery sends. NULL: the delivery sends notices.
    Column("run_id", Id, ForeignKey("digest_runs.id")),
    # File that the delivery sends. NULL: the delivery sends a card.
    Column("file_id", Id, ForeignKey("digest_files.id")),
    # Key of the first event that the card reports. NULL: the card reports none.
    Column("event_key", String(128)),
    # When that event was stored, in ms.
    Column("event_at", BigInteger),
    # Delivery whose card this one replaces as a correction. NULL: no correction. No foreign key, because retention
    # may delete that delivery first.
    Column("corrects", Id),
    # Answer to a question that the delivery sends. NULL: the delivery answers none.
    Column("answer_id", Id, ForeignKey("answers.id")),
)
_IS_OPEN = text("state IN ('waiting', 'held', 'ready', 'sending')")
_IS_READY, _IS_SENDING, _IS_HELD = text("state = 'ready'"), text("state = 'sending'"), text("state = 'held'")
Index(
    "ix_deliveries_ready",
    deliveries.c.receive_id,
    deliveries.c.id,
    sqlite_where=_IS_READY,
    postgresql_where=_IS_READY,
)
Index(
    "ix_deliveries_sending", deliveries.c.receive_id, sqlite_where=_IS_SENDING, postgresql_where=_IS_SENDING
)
Index("ix_deliveries_held", deliveries.c.due_at, sqlite_where=_IS_HELD, postgresql_where=_IS_HELD)
Index(
    "ix_deliveries_held_for",
    deliveries.c.receive_id,
    deliveries.c.id,
    sqlite_where=_IS_HELD,
    postgresql_where=_IS_HELD,
)
Index(
    "ix_deliveries_account_target",
    deliveries.c.account_ref,
    deliveries.c.target,
    sqlite_where=_IS_OPEN,
    postgresql_where=_IS_OPEN,
)
_OPEN: list[ColumnElement[str]] = [
    literal_column(f"'{state}'") for state in ("waiting", "held", "ready", "sending")
]
is_open = deliveries.c.state.in_(_OPEN)
"""Condition of a partial index. A query that may use the index repeats it literally."""
_IS_DEGRADED = text("degraded_reason IS NOT NULL")
is_ended = deliveries.c.state.not_in(_OPEN)
"""Condition of a partial index, as `is_open`. A full index on the state would be chosen for open deliveries too."""
_IS_ENDED = text("state NOT IN ('waiting', 'held', 'ready', 'sending')")
Index(
    "ix_deliveries_ended",
    deliveries.c.state,
    deliveries.c.updated_at,
    sqlite_where=_IS_ENDED,
    postgresql_where=_IS_ENDED,
)
_HAS_ORDER = text("order_id IS NOT NULL")
Index("ix_deliveries_order", deliveries.c.order_id, sqlite_where=_HAS_ORDER, postgresql_where=_HAS_ORDER)
_HAS_RUN = text("run_id IS NOT NULL")
Index("ix_deliveries_run", deliveries.c.run_id, sqlite_where=_HAS_RUN, postgresql_where=_HAS_RUN)
_IS_REROUTE = text("rerouted_from IS NOT NULL")
Index(
    "ix_deliveries_rerouted",
    deliveries.c.rerouted_from,
    sqlite_where=_IS_REROUTE,
    postgresql_where=_IS_REROUTE,
)
_IS_CORRECTION = text("corrects IS NOT NULL")
Index(
    "ix_deliveries_corrects",
    deliveries.c.corrects,
    sqlite_where=_IS_CORRECTION,
    postgresql_where=_IS_CORRECTION,
)
_HAS_ANSWER = text("answer_id IS NOT NULL")
Index("ix_deliveries_answer", deliveries.c.answer_id, sqlite_where=_HAS_ANSWER, postgresql_where=_HAS_ANSWER)
_HAS_FILE = text("file_id IS NOT NULL")
Index("ix_deliveries_file", deliveries.c.file_id, sqlite_where=_HAS_FILE, postgresql_where=_HAS_FILE)
Index(
    "ix_deliveries_degraded",
    deliveries.c.updated_at,
    sqlite_where=_IS_DEGRADED,
    postgresql_where=_IS_DEGRADED,
)

delivery_notices = Table(
    "delivery_notices",
    metadata,
    Column("delivery_id", Id, ForeignKey("deliveries.id"), primary_key=True),
    Column("notice_id", Id, ForeignKey("notices.id"), primary_key=True),
)

Index("ix_delivery_notices_notice", delivery_notices.c.notice_id)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("delivery_id", Id, ForeignKey("deliveries.id"), nullable=False),
    # uuid of the call: Feishu's deduplication key.
    Column("uuid", String(50), nullable=False),
    # In ms.
    Column("started_at", BigInteger, nullable=False),
    # In ms. NULL: the attempt runs.
    Column("ended_at", BigInteger),
    # State of the delivery after the attempt. NULL: the attempt runs.
    Column("outcome", String(16)),
    # Why the attempt failed.
    Column("reason", Text),
    # Feishu's error code.
    Column("code", Integer),
    # Feishu's log id (X-Tt-Logid) of the call.
    Column("log_id", String(128)),
)
Index("ix_attempts_delivery", attempts.c.delivery_id)
Index("ix_attempts_started", attempts.c.started_at, attempts.c.ended_at)

recipients = Table(
    "recipients",
    metadata,
    # open_id or chat_id.
    Column("receive_id", String(128), primary_key=True),
    # Oldest ready delivery. NULL: none is ready, or one is in sending. No foreign key: it changes with each claim.
    Column("next_delivery_id", Id),
    # When the next delivery may be sent, in ms. NULL: as next_delivery_id.
    Column("next_at", BigInteger),
    # No call before this moment, in ms: the rate limit per recipient.
    Column("not_before", BigInteger, nullable=False, server_default="0"),
)
_HAS_NEXT = text("next_at IS NOT NULL")
Index(
    "ix_recipients_next",
    recipients.c.next_at,
    recipients.c.next_delivery_id,
    sqlite_where=_HAS_NEXT,
    postgresql_where=_HAS_NEXT,
)

preferences = Table(
    "preferences",
    metadata,
    # The person.
    Column("open_id", String(64), primary_key=True),
    # Frequency.
    Column("frequency", String(16), nullable=False, server_default="instant"),
    # First minute of the day of the quiet hours. NULL: no quiet hours.
    Column("quiet_begin", Integer),
    # First minute of the day after the quiet hours. NULL: no quiet hours.
    Column("quiet_end", Integer),
    # IANA name of the time zone. Empty: the one of the configuration.
    Column("zone", String(64), nullable=False, server_default=""),
    # CardLanguage.
    Column("language", String(16), nullable=False, server_default="feishu"),
    # When the person saved them, in ms.
    Column("changed_at", BigInteger, nullable=False),
)

rate_limits = Table(
    "rate_limits",
    metadata,
    # Name of the limiter (store/rate_limits.py).
    Column("name", String(160), primary_key=True),
    # Theoretical arrival time of the next call, in ms with fractions (GCRA).
    Column("due_at_ms", Float, nullable=False),
    # No call before this moment, in ms. 0: not blocked.
    Column("blocked_until", BigInteger, nullable=False),
    # Why the limiter is blocked.
    Column("reason", Text),
)

registrations = Table(
    "registrations",
    metadata,
    # App that registers the person.
    Column("app_id", String(64), primary_key=True),
    # Keyed hash of the person's e-mail address or mobile number (operations/accounts/contacts.py).
    Column("fingerprint", String(64), primary_key=True),
    # The registered account. NULL: not known yet.
    Column("account_ref", Id, ForeignKey("accounts.id")),
    # When the first call that registers the person may have started, in ms.
    Column("started_at", BigInteger, nullable=False),
    # When the newest call had a clear answer, in ms. NULL: it may have been carried out.
    Column("ended_at", BigInteger),
    # Feishu's error code of a refusal. NULL: none.
    Column("code", Integer),
)

workers = Table(
    "workers",
    metadata,
    # Order of the process starts. Their times may come from a wrong clock.
    Column("id", Id, primary_key=True),
    # Random id of one process start.
    Column("worker_id", String(40), nullable=False, unique=True),
    # In ms.
    Column("started_at", BigInteger, nullable=False),
    # Last heartbeat of the process, in ms.
    Column("heartbeat_at", BigInteger, nullable=False),
    # Last heartbeat while the clock was plausible, in ms. NULL: none.
    Column("trusted_at", BigInteger),
    # When the process stopped, in ms. NULL: it runs, or it crashed.
    Column("stopped_at", BigInteger),
    # State of the event connection: connecting, connected, lost, refused.
    Column("connection_state", String(24), nullable=False),
    # When connection_state last changed, in ms.
    Column("connection_since", BigInteger, nullable=False),
    # Reason of the state, such as the last connection error.
    Column("connection_detail", Text),
    # When the process last received an event, in ms.
    Column("last_event_at", BigInteger),
    # Number of connections of the app at Feishu that are not ours. NULL: not known, or another process counts.
    Column("foreign_connections", Integer),
    # 1: the process submits payouts to payouts.url. 0: an operator exports them.
    Column("submits_payouts", Integer, nullable=False, server_default="0"),
    # replica.name of its configuration, and version of the program.
    Column("name", String(255), nullable=False, server_default=""),
    Column("version", String(40), nullable=False, server_default=""),
    # Hash of the settings that all replicas must share.
    Column("config_fingerprint", String(64), nullable=False, server_default=""),
    # When the process last could not store an event, in ms. NULL: never.
    Column("refused_event_at", BigInteger),
    # When the leader last asked the process to open its connection again, in ms. NULL: never.
    Column("reconnect_requested_at", BigInteger),
)

leadership = Table(
    "leadership",
    metadata,
    # Always `leader`: the table has one row.
    Column("name", String(16), primary_key=True),
    # Process start that leads.
    Column("worker_id", String(40), nullable=False),
    # Grows with every change of the leader.
    Column("term", Integer, nullable=False),
    # End of the lease by the database's clock, in ms. 0: released.
    Column("expires_at", BigInteger, nullable=False),
)

schema_info = Table(
    "schema_info",
    metadata,
    # Schema revision.
    Column("version", String(16), primary_key=True),
    # Oldest version of the program that works on this schema.
    Column("oldest_program", String(40), nullable=False),
)

reconciliation_runs = Table(
    "reconciliation_runs",
    metadata,
    Column("id", Id, primary_key=True),
    # What started the run: connected, schedule.
    Column("trigger", String(16), nullable=False),
    # In ms.
    Column("started_at", BigInteger, nullable=False),
    # In ms. NULL: the run is not finished.
    Column("ended_at", BigInteger),
    # modified_at of the last account that was read, in ms. NULL: none read yet.
    Column("cursor_modified_at", BigInteger),
    # accounts.id of the last account that was read. NULL: none read yet.
    Column("cursor_account_ref", Id),
    # 1: another run was requested during this run.
    Column("is_rerun_requested", Integer, nullable=False, server_default="0"),
    # Number of accounts that were read.
    Column("read", Integer, nullable=False, server_default="0"),
    # Number of accounts that could not be read.
    Column("failed", Integer, nullable=False, server_default="0"),
    # Number of changes that reads found and no event reported.
    Column("recovered", Integer, nullable=False, server_default="0"),
    # Number of recovered changes whose event was missed while connected.
    Column("missed", Integer, nullable=False, server_default="0"),
)

buttons = Table(
    "buttons",
    metadata,
    # Opaque id of the button on the card.
    Column("ref", String(40), primary_key=True),
    # Delivery of the card that holds the button.
    Column("delivery_id", Id, ForeignKey("deliveries.id"), nullable=False),
    Column("account_ref", Id, ForeignKey("accounts.id"), nullable=False),
    # Number of completed withdrawals of the account when the button was rendered.
    Column("withdrawal_count", Integer, nullable=False),
    # The amounts that the button offers to withdraw, as canonical text.
    Column("amounts", Text, nullable=False),
    # When a card with this button was last rendered, in ms. The newest one is the button that the card shows.
    Column("offered_at", BigInteger, nullable=False),
    UniqueConstraint("delivery_id", "account_ref", "withdrawal_count", "amounts"),
)
Index("ix_buttons_account", buttons.c.account_ref, buttons.c.withdrawal_count)

withdrawals = Table(
    "withdrawals",
    metadata,
    Column("id", Id, primary_key=True),
    # Our order id: Feishu's idempotency key of the withdrawal.
    Column("order_id", String(64), nullable=False, unique=True),
    Column("account_ref", Id, ForeignKey("accounts.id"), nullable=False),
    # Kinds to withdraw, separated by commas.
    Column("kinds", String(32), nullable=False),
    # WithdrawalState: requested, then one final state.
    Column("state", String(16), nullable=False),
    # Number of completed withdrawals of the account before this one.
    Column("withdrawal_count", Integer, nullable=False),
    # Role that permitted the request.
    Column("role", String(16), nullable=False),
    # open_id of the requester.
    Column("requested_by", String(64), nullable=False),
    # In ms.
    Column("requested_at", BigInteger, nullable=False),
    # Amounts that the requester agreed to: those of the pressed button, as canonical text.
    Column("agreed", Text, nullable=False),
    # Idempotency key of the press.
    Column("click_key", String(128), nullable=False, unique=True),
    # Delivery of the card whose button was pressed.
    Column("delivery_id", Id, ForeignKey("deliveries.id"), nullable=False),
    # Number of calls that have started.
    Column("attempts", Integer, nullable=False, server_default="0"),
    # When the next call may start, in ms.
    Column("due_at", BigInteger, nullable=False),
    # Process that claimed the order. NULL: not claimed.
    Column("worker_id", String(40)),
    # Balance just before the call, as canonical text. NULL: not read.
    Column("expected", Text),
    # Withdrawn amounts, as canonical text. NULL: nothing withdrawn yet.
    Column("withdrawn", Text),
    # Feishu's trans_time, in ms.
    Column("withdrawn_at", BigInteger),
    # When the final state was stored, in ms.
    Column("ended_at", BigInteger),
    # Start of the first call with an unknown outcome, in ms. NULL: no such call.
    Column("unknown_since", BigInteger),
    # When the alarm group was notified that the order has no clear answer, in ms. NULL: not notified.
    Column("stuck_notified_at", BigInteger),
    # 1: a balance report includes the withdrawal.
    Column("is_in_ledger", Integer, nullable=False, server_default="0"),
    # Why the last call failed.
    Column("reason", Text),
    # Feishu's error code of the last call.
    Column("code", Integer),
    # Feishu's log id (X-Tt-Logid) of the last call.
    Column("log_id", String(128)),
    # modified_at of the first balance report that includes the withdrawal, in ms.
    Column("ledger_modified_at", BigInteger),
)
_IS_UNFINISHED = text("state = 'requested'")
Index(
    "ix_withdrawals_unfinished",  # what makes a second one impossible
    withdrawals.c.account_ref,
    unique=True,
    sqlite_where=_IS_UNFINISHED,
    postgresql_where=_IS_UNFINISHED,
)
Index("ix_withdrawals_account", withdrawals.c.account_ref, withdrawals.c.id)
Index("ix_withdrawals_delivery", withdrawals.c.delivery_id)
Index("ix_withdrawals_in_ledger", withdrawals.c.ledger_modified_at)

payouts = Table(
    "payouts",
    metadata,
    Column("id", Id, primary_key=True),
    # Withdrawal that the payout belongs to; the payroll system's idempotency key.
    Column("order_id", String(64), ForeignKey("withdrawals.order_id"), nullable=False, unique=True),
    Column("account_ref", Id, ForeignKey("accounts.id"), nullable=False),
    # PayoutState.
    Column("state", String(16), nullable=False),
    # JSON body of the payroll request, identical in every call.
    Column("body", Text, nullable=False),
    # When the withdrawal completed, in ms.
    Column("created_at", BigInteger, nullable=False),
    # When the next call may start, in ms.
    Column("due_at", BigInteger, nullable=False),
    # Number of finished calls.
    Column("attempts", Integer, nullable=False, server_default="0"),
    # When the payout was first claimed, in ms. The retry policy counts from it.
    Column("first_tried_at", BigInteger),
    # When the payroll system accepted the payout, in ms.
    Column("sent_at", BigInteger),
    # When the payout was first exported to a file, in ms.
    Column("exported_at", BigInteger),
    # When the newest payroll report was applied, in ms.
    Column("settled_at", BigInteger),
    # Start of the first call without a clear answer, in ms. NULL: no such call.
    Column("unknown_since", BigInteger),
    # When the payroll system signed its newest report, in ms.
    Column("reported_at", BigInteger),
    # JSON [[reference, signed at in ms], ...] of the reports `paid` that counted. NULL: none.
    Column("paid_reports", Text),
    # Payment reference from the payroll report; empty where none.
    Column("reference", String(128), nullable=False, server_default=""),
    # Why the last call or the payment failed.
    Column("reason", Text),
    # When the alarm group was notified that the payout is late, in ms.
    Column("late_notified_at", BigInteger),
)
Index("ix_payouts_state", payouts.c.state, payouts.c.due_at)
Index("ix_payouts_created", payouts.c.created_at)

card_updates = Table(
    "card_updates",
    metadata,
    Column("delivery_id", Id, ForeignKey("deliveries.id"), primary_key=True),
    # Counts update requests: each change of the card's state adds one.
    Column("requested_version", Integer, nullable=False),
    # requested_version of the last update that Feishu accepted.
    Column("applied_version", Integer, nullable=False, server_default="0"),
    # When the next attempt may start, in ms.
    Column("due_at", BigInteger, nullable=False),
    # Failed attempts for the current request.
    Column("attempts", Integer, nullable=False, server_default="0"),
    # Why the card is never updated again. NULL: it still is.
    Column("abandoned_reason", Text),
    # Reason of the last failed attempt.
    Column("last_error", Text),
)
_IS_UPDATE_PENDING = text("applied_version < requested_version AND abandoned_reason IS NULL")
Index(
    "ix_card_updates_pending",
    card_updates.c.due_at,
    sqlite_where=_IS_UPDATE_PENDING,
    postgresql_where=_IS_UPDATE_PENDING,
)

audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    # In ms.
    Column("at", BigInteger, nullable=False),
    # AuditAction.
    Column("action", String(32), nullable=False),
    # An open_id, or "feishu", "notifier", "payroll", "command line".
    Column("actor", String(64), nullable=False),
    # accounts.id. NULL: no single account. No foreign key, because audit rows outlive their subjects.
    Column("account_ref", Id),
    # Withdrawal order. NULL: none.
    Column("order_id", String(64)),
    # deliveries.id of the card. NULL: no card.
    Column("delivery_id", Id),
    # Feishu's id of the card message. NULL: no message.
    Column("message_id", String(64)),
    # What happened, as one line of text.
    Column("outcome", Text, nullable=False),
)
Index("ix_audit_order", audit.c.order_id)
Index("ix_audit_account", audit.c.account_ref, audit.c.id)
