"""The tables of digests: what was told to whom, and the withdrawals asked for on their cards."""

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
    Column("digest", String(32), primary_key=True),
    Column("registered_at", BigInteger, nullable=False),  # no period that was due before is told
)

digest_runs = Table(
    "digest_runs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("digest", String(32), nullable=False),
    Column("period", String(64), nullable=False),
    Column("recipient", String(64), nullable=False),  # a group's name, referrers, or account:<accounts.id>
    Column(
        "correction_number", Integer, nullable=False, server_default="0"
    ),  # higher for every time it is told again
    Column("from_at", BigInteger, nullable=False),
    Column("to_at", BigInteger, nullable=False),
    Column("due_at", BigInteger),  # NULL: asked for by hand
    Column("created_at", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),  # spreading, told, quiet, missed
    Column("content", Text),  # the figures as told
    Column("last_account_ref", Id),  # spreading: the first account that has not been told
    UniqueConstraint("digest", "period", "recipient", "correction_number"),
)
Index("ix_digest_runs_created", digest_runs.c.created_at)
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
    Column("name", String(128), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("compressed", LargeBinary),  # zlib; NULL once Feishu has it
    Column("file_key", String(128)),
)

panel_buttons = Table(
    "panel_buttons",
    metadata,
    Column("ref", String(40), primary_key=True),  # of one button on a digest's card
    Column("delivery_id", Id, ForeignKey("deliveries.id"), nullable=False),
    Column("action", String(8), nullable=False),  # one, all, retry
    Column("revision", Integer, nullable=False),  # how many batches of the card were over when it was drawn
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("delivery_id", "action", "revision"),
)

batches = Table(
    "batches",
    metadata,
    Column("id", Id, primary_key=True),
    Column("delivery_id", Id, ForeignKey("deliveries.id"), nullable=False),
    Column("click_key", String(128), nullable=False, unique=True),
    Column("revision", Integer, nullable=False),
    Column("requested_by", String(64), nullable=False),
    Column("requested_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    UniqueConstraint("delivery_id", "revision"),
)
_IS_RUNNING = text("ended_at IS NULL")
Index(
    "ix_batches_running",  # what makes a second one on the same card impossible
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
    Column("button_ref", String(40), ForeignKey("buttons.ref"), nullable=False),
    Column("order_id", String(64)),  # once it is ordered
    Column("skip_reason", String(32)),  # why it was not ordered
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
