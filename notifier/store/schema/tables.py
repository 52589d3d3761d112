"""All tables. Times are milliseconds since the epoch (UTC); amounts are whole ten-thousandths (domain/money)."""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

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
    "metadata",
    "notices",
    "panel_buttons",
    "payouts",
    "rate_limits",
    "reconciliation_runs",
    "snapshots",
    "withdrawals",
    "workers",
]

inbox = Table(
    "inbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("app_id", String(64), nullable=False),
    Column("event_key", String(128), nullable=False),
    Column("event_type", String(128), nullable=False),
    Column("tenant_key", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),  # new, done, ignored, parked
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
    Column("tenant_key", String(64), nullable=False),
    Column("app_id", String(64), nullable=False),
    Column("account_id", String(64), nullable=False),
    Column("modified_at", BigInteger),  # of the newest snapshot, as is reported_at
    Column("reported_at", BigInteger),
    Column("referrer_open_id", String(64)),  # NULL with looked_up_at set: Feishu knows no such account
    Column("referrer_name_zh", Text, nullable=False, server_default=""),
    Column("referrer_name_en", Text, nullable=False, server_default=""),
    Column("looked_up_at", BigInteger),
    Column("lookup_due_at", BigInteger, nullable=False, server_default="0"),
    Column("lookup_attempts", Integer, nullable=False, server_default="0"),
    Column("lookup_error", Text),
    Column("deactivated_at", BigInteger),  # when Feishu last said so; NULL where it did not
    Column("confirmed_at", BigInteger),  # when a read of the account last gave what our books say
    Column(
        "mismatch_modified_at", BigInteger
    ),  # modified_at of the books when a read first gave something else
    Column("recheck_at", BigInteger),  # when to read it again, out of turn
    Column(
        "recovered_modified_at", BigInteger
    ),  # modified_at of the newest balance that a read, not an event, told us
    UniqueConstraint("tenant_key", "app_id", "account_id"),
)
_REFERRER_UNKNOWN = text("looked_up_at IS NULL")
Index(
    "ix_accounts_referrer_unknown",
    accounts.c.lookup_due_at,
    sqlite_where=_REFERRER_UNKNOWN,
    postgresql_where=_REFERRER_UNKNOWN,
)
Index("ix_accounts_modified", accounts.c.modified_at, accounts.c.id)
_NEEDS_RECHECK = text("recheck_at IS NOT NULL")
Index(
    "ix_accounts_recheck", accounts.c.recheck_at, sqlite_where=_NEEDS_RECHECK, postgresql_where=_NEEDS_RECHECK
)

balances = Table(
    "balances",
    metadata,
    Column("account_ref", Id, ForeignKey("accounts.id"), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("currency", String(16), primary_key=True),
    Column("amount", BigInteger, nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account_ref", Id, ForeignKey("accounts.id"), nullable=False),
    Column("modified_at", BigInteger, nullable=False),
    Column("reported_at", BigInteger, nullable=False),
    Column("content", Text, nullable=False),
    Column(
        "inbox_id", Id
    ),  # the entry that told it first; kept as a number, as inbox rows are pruned one day
    UniqueConstraint("account_ref", "modified_at", "content"),
)

changes = Table(
    "changes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("snapshot_id", Id, ForeignKey("snapshots.id"), nullable=False),
    Column("account_ref", Id, ForeignKey("accounts.id"), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("currency", String(16), nullable=False),
    Column("before", BigInteger, nullable=False),
    Column("after", BigInteger, nullable=False),
    Column("modified_at", BigInteger, nullable=False),
    UniqueConstraint("snapshot_id", "kind", "currency"),
)
Index("ix_changes_period", changes.c.modified_at, changes.c.account_ref)

notices = Table(
    "notices",
    metadata,
    Column("id", Id, primary_key=True),
    Column("notice_key", String(64), nullable=False, unique=True),
    Column("account_ref", Id, ForeignKey("accounts.id"), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("changes", Text, nullable=False),  # [[kind, currency, before, after], ...], amounts as text
    Column("recovered", Integer, nullable=False, server_default="0"),  # 1: no event told us, a read did
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("delivery_key", String(40), nullable=False, unique=True),
    Column("account_ref", Id, ForeignKey("accounts.id")),  # NULL: it tells of no single account
    Column("target", String(64), nullable=False),
    Column("receive_id_type", String(16), nullable=False, server_default=""),
    Column("receive_id", String(128), nullable=False, server_default=""),
    Column("state", String(16), nullable=False),
    Column("variant", String(16), nullable=False),
    Column("msg_type", String(16)),
    Column("body", Text),  # frozen before the first call; NULL until then
    Column("degraded_reason", Text),  # why a simpler card than the full one is sent
    Column("due_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("first_tried_at", BigInteger),
    Column("unknown_since", BigInteger),
    Column("worker_id", String(40)),  # the process that is sending it
    Column("reroute_reason", Text),
    Column("rerouted_from", Id, ForeignKey("deliveries.id")),
    Column("message_id", String(64)),
    Column("chat_id", String(64)),
    Column("last_error", Text),
    Column("last_code", Integer),
    Column("log_id", String(128)),
    Column("order_id", String(64)),  # the withdrawal that it tells of; NULL for a balance change
    Column("run_id", Id, ForeignKey("digest_runs.id")),  # the digest that it tells; NULL for a notice
    Column("file_id", Id, ForeignKey("digest_files.id")),  # the digest's file, where it is that and no card
)
_IS_OPEN = text("state IN ('waiting', 'ready', 'sending')")
Index(
    "ix_deliveries_recipient_queue",
    deliveries.c.receive_id,
    deliveries.c.id,
    sqlite_where=_IS_OPEN,
    postgresql_where=_IS_OPEN,
)
Index(
    "ix_deliveries_open",
    deliveries.c.state,
    deliveries.c.id,
    sqlite_where=_IS_OPEN,
    postgresql_where=_IS_OPEN,
)
Index(
    "ix_deliveries_account_target",
    deliveries.c.account_ref,
    deliveries.c.target,
    sqlite_where=_IS_OPEN,
    postgresql_where=_IS_OPEN,
)
_IS_DEGRADED = text("degraded_reason IS NOT NULL")
Index("ix_deliveries_state", deliveries.c.state, deliveries.c.updated_at)
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
    Column("uuid", String(50), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("outcome", String(16)),
    Column("reason", Text),
    Column("code", Integer),
    Column("log_id", String(128)),
)
Index("ix_attempts_delivery", attempts.c.delivery_id)
Index("ix_attempts_started", attempts.c.started_at)

rate_limits = Table(
    "rate_limits",
    metadata,
    Column("name", String(160), primary_key=True),
    Column("due_at_ms", Float, nullable=False),
    Column("blocked_until", BigInteger, nullable=False),
    Column("reason", Text),
)

workers = Table(
    "workers",
    metadata,
    Column("worker_id", String(40), primary_key=True),
    Column("started_at", BigInteger, nullable=False),
    Column("heartbeat_at", BigInteger, nullable=False),
    Column("stopped_at", BigInteger),
    Column("connection_state", String(24), nullable=False),
    Column("connection_since", BigInteger, nullable=False),
    Column("connection_detail", Text),
    Column("last_event_at", BigInteger),
    Column("live_connections", Integer),  # of the app, as Feishu counts them; NULL where it does not say
)

reconciliation_runs = Table(
    "reconciliation_runs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("trigger", String(16), nullable=False),  # connected, schedule
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column(
        "cursor_modified_at", BigInteger
    ),  # modified_at and id of the account that was read last; NULL: none yet
    Column("cursor_account_ref", Id),
    Column("is_rerun_requested", Integer, nullable=False, server_default="0"),  # 1: asked for while it ran
    Column("read", Integer, nullable=False, server_default="0"),
    Column("failed", Integer, nullable=False, server_default="0"),
    Column("recovered", Integer, nullable=False, server_default="0"),
    Column("missed", Integer, nullable=False, server_default="0"),  # of those, while we were connected
)

buttons = Table(
    "buttons",
    metadata,
    Column("ref", String(40), primary_key=True),
    Column("delivery_id", Id, ForeignKey("deliveries.id"), nullable=False),
    Column("account_ref", Id, ForeignKey("accounts.id"), nullable=False),
    Column("withdrawal_count", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("delivery_id", "account_ref", "withdrawal_count"),
)
Index("ix_buttons_account", buttons.c.account_ref, buttons.c.withdrawal_count)

withdrawals = Table(
    "withdrawals",
    metadata,
    Column("id", Id, primary_key=True),
    Column("order_id", String(64), nullable=False, unique=True),
    Column("account_ref", Id, ForeignKey("accounts.id"), nullable=False),
    Column("kinds", String(32), nullable=False),  # comma-separated
    Column("state", String(16), nullable=False),
    Column(
        "withdrawal_count", Integer, nullable=False
    ),  # withdrawals of the account that were over before this one
    Column("role", String(16), nullable=False),
    Column("requested_by", String(64), nullable=False),
    Column("requested_at", BigInteger, nullable=False),
    Column("click_key", String(128), nullable=False, unique=True),
    Column("delivery_id", Id, ForeignKey("deliveries.id"), nullable=False),  # the card that was pressed
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("due_at", BigInteger, nullable=False),
    Column("worker_id", String(40)),  # the process that is asking Feishu
    Column("expected", Text),  # the balance just before the call, as the ledger writes it
    Column("withdrawn", Text),
    Column("withdrawn_at", BigInteger),  # Feishu's trans_time
    Column("ended_at", BigInteger),
    Column("unknown_since", BigInteger),
    Column("is_in_ledger", Integer, nullable=False, server_default="0"),  # 1: its balance event has come
    Column("reason", Text),
    Column("code", Integer),
    Column("log_id", String(128)),
    Column("ledger_modified_at", BigInteger),  # of the balance report that showed it first
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
    Column("order_id", String(64), ForeignKey("withdrawals.order_id"), nullable=False, unique=True),
    Column("account_ref", Id, ForeignKey("accounts.id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("body", Text, nullable=False),  # what is handed over, the same in every call
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("first_tried_at", BigInteger),
    Column("sent_at", BigInteger),
    Column("exported_at", BigInteger),  # first export
    Column("settled_at", BigInteger),
    Column("reported_at", BigInteger),  # when the other system signed its newest report
    Column("reference", String(128), nullable=False, server_default=""),
    Column("reason", Text),
    Column("late_notified_at", BigInteger),  # when HR was told that it is late
)
Index("ix_payouts_state", payouts.c.state, payouts.c.due_at)
Index("ix_payouts_created", payouts.c.created_at)

card_updates = Table(
    "card_updates",
    metadata,
    Column("delivery_id", Id, ForeignKey("deliveries.id"), primary_key=True),
    Column(
        "requested_version", Integer, nullable=False
    ),  # grows with every change of what the card should show
    Column(
        "applied_version", Integer, nullable=False, server_default="0"
    ),  # the newest that Feishu has taken
    Column("due_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("abandoned_reason", Text),  # why this card will not be changed any more
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
    Column("at", BigInteger, nullable=False),
    Column("action", String(32), nullable=False),
    Column("actor", String(64), nullable=False),  # an open_id, "feishu", "notifier", or "operator"
    Column("account_ref", Id),
    Column("order_id", String(64)),
    Column("delivery_id", Id),
    Column("message_id", String(64)),
    Column("outcome", Text, nullable=False),
)
Index("ix_audit_order", audit.c.order_id)
Index("ix_audit_account", audit.c.account_ref, audit.c.id)
