"""The tables of questions to the bot and of their answers."""

from sqlalchemy import BigInteger, Column, Index, String, Table, Text, UniqueConstraint, text

from notifier.store.schema.digest_tables import Id, metadata

questions = Table(
    "questions",
    metadata,
    Column("id", Id, primary_key=True),
    # App that was asked.
    Column("app_id", String(64), nullable=False),
    # Idempotency key: the message or the menu choice. One message may arrive as several events.
    Column("question_key", String(160), nullable=False),
    # Tenant of the app.
    Column("tenant_key", String(64), nullable=False),
    # The person who asks.
    Column("open_id", String(64), nullable=False),
    # Command: what they ask for. The text of the message is not stored here.
    Column("command", String(16), nullable=False),
    # Treatment: answer, too_many, ignore.
    Column("treatment", String(16), nullable=False),
    # The message. Empty: a menu choice.
    Column("message_id", String(64), nullable=False, server_default=""),
    # The group in which they ask. Empty: a private chat or the menu.
    Column("group_chat_id", String(64), nullable=False, server_default=""),
    # When they asked, in ms.
    Column("asked_at", BigInteger, nullable=False),
    # When the event was stored, in ms.
    Column("received_at", BigInteger, nullable=False),
    # Key of the event.
    Column("event_key", String(128), nullable=False),
    # QuestionState: new, answered, ignored.
    Column("state", String(16), nullable=False),
    # When to answer, in ms.
    Column("due_at", BigInteger, nullable=False),
    # Why it was ignored. NULL: it was not.
    Column("reason", Text),
    UniqueConstraint("question_key", "app_id"),
)
_IS_NEW = text("state = 'new'")
Index("ix_questions_new", questions.c.due_at, questions.c.id, sqlite_where=_IS_NEW, postgresql_where=_IS_NEW)
Index("ix_questions_person", questions.c.open_id, questions.c.received_at)

answers = Table(
    "answers",
    metadata,
    Column("id", Id, primary_key=True),
    # AnswerKind.
    Column("kind", String(16), nullable=False),
    # What the message shows, as JSON. Amounts are decimal text.
    Column("content", Text, nullable=False),
    # When the answer was made, in ms.
    Column("created_at", BigInteger, nullable=False),
    # Key of the question, as questions.question_key. No foreign key, because questions may expire earlier.
    Column("question_key", String(160), nullable=False),
)
