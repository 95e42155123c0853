"""The task table; a server process of PostgreSQL ends when its client is gone."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "task",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("complete", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("user_id", "id", name="task_pkey"),
        sa.CheckConstraint(
            "char_length(user_id) BETWEEN 1 AND 255", name=op.f("task_user_id_length")
        ),
        sa.CheckConstraint("id > 0", name=op.f("task_id_positive")),
        sa.CheckConstraint("char_length(title) BETWEEN 1 AND 200", name=op.f("task_title_length")),
        sa.CheckConstraint(
            "char_length(description) <= 1000", name=op.f("task_description_length")
        ),
        sa.CheckConstraint("updated_at >= created_at", name=op.f("task_updated_after_created")),
    )
    # A backend looks whether its client is still there, also while it waits for a lock. Without
    # this, a statement whose request was cancelled would go on.
    _set_for_this_database("SET client_connection_check_interval = '1s'")


def downgrade() -> None:
    _set_for_this_database("RESET client_connection_check_interval")
    op.drop_table("task")


def _set_for_this_database(setting: str) -> None:
    """Change the database's settings, which its owner alone may do; others are warned."""
    quoted = setting.replace("'", "''")
    statement = f"""
        DO $$ BEGIN
            IF (
                SELECT pg_has_role(datdba, 'USAGE')
                FROM pg_database
                WHERE datname = current_database()
            ) THEN
                EXECUTE format('ALTER DATABASE %I {quoted}', current_database());
            ELSE
                RAISE WARNING
                    'left out, for the database''s owner to run: ALTER DATABASE name {quoted}';
            END IF;
        END $$
    """  # noqa: S608 - our own words
    op.execute(statement)
