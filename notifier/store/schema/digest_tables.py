"""The tables of digests: their schedules, runs and files, and the withdrawal batches of their cards."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Shared by all tables: the names of keys and indexes."""

Id = BigInteger().with_variant(Integer, "sqlite")
"""Row numbers. SQLite numbers rows automatically only for plain INTEGER keys."""

digest_schedules = Table(
    "digest_schedules",
    metadata,
    # Name of the digest in the configuration.
    Column("digest", String(32), primary_key=True),
    # When a running notifier first read this digest, in ms. Earlier periods are never sent.
    Column("registered_at", BigInteger, nullable=False),
)

digest_runs = Table(
    "digest_runs",
    metadata,
    Column("id", Id, primary_key=True),
    # Name of the digest in the configuration.
    Column("digest", String(32), nullable=False),
    # Label of the reported period, such as 2026-11-25.
    Column("period", String(64), nullable=False),
    # A group name, `referrers`, or `account:<accounts.id>`.
    Column("recipient", String(64), nullable=False),
    # 0 for the first send of the period; each later send counts one up.
    Column("correction_number", Integer, nullable=False, server_default="0"),
    # First moment of the period, in ms.
    Column("from_at", BigInteger, nullable=False),
    # First moment after the period, in ms.
    Column("to_at", BigInteger, nullable=False),
    # When the schedule made the run due, in ms. NULL: an operator sent it.
    Column("due_at", BigInteger),
    # When the run was claimed, in ms.
    Column("created_at", BigInteger, nullable=False),
    # DigestRunState: in_progress, notified, empty, missed.
    Column("state", String(16), nullable=False),
    # Figures of the card as JSON. NULL: there are none, or retention removed them.
    Column("content", Text),
    # in_progress: accounts.id of the last account whose referrer was notified.
    Column("last_account_ref", Id),
    UniqueConstraint("digest", "period", "recipient", "correction_number"),
)
Index("ix_digest_runs_created", digest_runs.c.created_at)
Index("ix_digest_runs_recipient", digest_runs.c.digest, digest_runs.c.recipient, digest_runs.c.to_at)
_HAS_CONTENT = text("content IS NOT NULL")
Index(
    "ix_digest_runs_content",
    digest_runs.c.created_at,
    sqlite_where=_HAS_CONTENT,
    postgresql_where=_HAS_CONTENT,
)

digest_files = Table(
    "digest_files",
    metadata,
    Column("id", Id, primary_key=True),
    # File name as the recipient sees it.
    Column("name", String(128), nullable=False),
    # Number of data rows in the file.
    Column("rows", Integer, nullable=False),
    # File content, compressed with zlib. NULL after the upload to Feishu.
    Column("compressed", LargeBinary),
    # Feishu's key of the uploaded file. NULL before the upload.
    Column("file_key", String(128)),
)

panel_buttons = Table(
    "panel_buttons",
    metadata,
    # Opaque id of the button on the digest card.
    Column("ref", String(40), primary_key=True),
    # Delivery of the digest card.
    Column("delivery_id", Id, ForeignKey("deliveries.id"), nullable=False),
    # Action: one, all, retry.
    Column("action", String(8), nullable=False),
    # The list that the card showed when the button was rendered: number of batches, and time of the newest button.
    Column("revision", String(40), nullable=False),
    # In ms.
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("delivery_id", "action", "revision"),
)

batches = Table(
    "batches",
    metadata,
    Column("id", Id, primary_key=True),
    # Delivery of the digest card.
    Column("delivery_id", Id, ForeignKey("deliveries.id"), nullable=False),
    # Idempotency key of the press that started the batch.
    Column("click_key", String(128), nullable=False, unique=True),
    # Number of earlier batches of the card.
    Column("revision", Integer, nullable=False),
    # open_id of the operator who pressed.
    Column("requested_by", String(64), nullable=False),
    # In ms.
    Column("requested_at", BigInteger, nullable=False),
    # When the last item ended, in ms. NULL: the batch runs.
    Column("ended_at", BigInteger),
    UniqueConstraint("delivery_id", "revision"),
)
_IS_RUNNING = text("ended_at IS NULL")
Index(
    "ix_batches_running",  # allows only one running batch per card
    batches.c.delivery_id,
    unique=True,
    sqlite_where=_IS_RUNNING,
    postgresql_where=_IS_RUNNING,
)

batch_items = Table(
    "batch_items",
    metadata,
    Column("id", Id, primary_key=True),
    Column("batch_id", Id, ForeignKey("batches.id"), nullable=False),
    Column("account_ref", Id, ForeignKey("accounts.id"), nullable=False),
    # Withdraw button of the account on this card.
    Column("button_ref", String(40), ForeignKey("buttons.ref"), nullable=False),
    # Order id of the withdrawal. NULL: not ordered yet, or skipped.
    Column("order_id", String(64)),
    # SkipReason: why no withdrawal was ordered. NULL: not skipped.
    Column("skip_reason", String(32)),
    UniqueConstraint("batch_id", "account_ref"),
)
Index("ix_batch_items_button_ref", batch_items.c.button_ref)
_IS_ITEM_PENDING = text("order_id IS NULL AND skip_reason IS NULL")
Index(
    "ix_batch_items_pending",
    batch_items.c.id,
    sqlite_where=_IS_ITEM_PENDING,
    postgresql_where=_IS_ITEM_PENDING,
)
