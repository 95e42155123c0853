"""The tables: their columns, limits and constraints.

Alembic generates migrations from the columns and indexes. It does not see a CHECK constraint that
has changed, such as a title's limit: that migration is written by hand, and a test compares the
migrated tables with these. No ORM session reads or writes them: store.py has the queries, and
schemas.py takes the limits from here.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.core.limits import KEY_MAX, USER_ID_MAX

TITLE_MAX = 200
DESCRIPTION_MAX = 1000
ID_MAX = 2**63 - 1
"""The largest value of PostgreSQL's bigint."""

SQLModel.metadata.naming_convention = {
    "pk": "%(table_name)s_pkey",
    "ck": "%(table_name)s_%(constraint_name)s",
}


class Task(SQLModel, table=True):
    """One person's task.

    The key is (user_id, id), so that every query of a user reads one range of one index, and so
    that Citus can distribute the table by `user_id`. The constraints repeat the lengths of the API.
    """

    __table_args__ = (
        CheckConstraint(f"char_length(user_id) BETWEEN 1 AND {USER_ID_MAX}", name="user_id_length"),
        CheckConstraint("id > 0", name="id_positive"),
        CheckConstraint(f"char_length(title) BETWEEN 1 AND {TITLE_MAX}", name="title_length"),
        CheckConstraint(
            f"char_length(description) <= {DESCRIPTION_MAX}", name="description_length"
        ),
        CheckConstraint("updated_at >= created_at", name="updated_after_created"),
    )

    user_id: str = Field(primary_key=True, sa_type=Text)
    id: int = Field(primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    title: str = Field(sa_type=Text)
    description: str | None = Field(sa_type=Text)
    complete: bool = Field(sa_column_kwargs={"server_default": text("false")})
    created_at: datetime = Field(
        sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": func.now()}
    )
    updated_at: datetime = Field(
        sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": func.now()}
    )


class IdempotencyKey(SQLModel, table=True):
    """The task that the first request with a key created, as it was then.

    A retry is answered with it, even if the task has since been changed or deleted.
    """

    __tablename__ = "idempotency_key"
    __table_args__ = (
        CheckConstraint(f"char_length(user_id) BETWEEN 1 AND {USER_ID_MAX}", name="user_id_length"),
        CheckConstraint(f"char_length(key) BETWEEN 1 AND {KEY_MAX}", name="key_length"),
        # finds the expired keys
        Index("idempotency_key_user_id_created_at_idx", "user_id", "created_at"),
    )

    user_id: str = Field(primary_key=True, sa_type=Text)
    key: str = Field(primary_key=True, sa_type=Text)
    fingerprint: bytes = Field(sa_type=LargeBinary)
    # the task as the first request was answered: the values of its columns, by name
    answer: dict[str, Any] = Field(sa_type=JSONB)
    created_at: datetime = Field(
        sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": func.now()}
    )
