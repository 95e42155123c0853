"""The answer to a key's first request is kept as the task's values, not as text.

So a field that is added later needs no care for answers that are stored already. Instances of the
service's old version may still run during this migration and after it: for them `create_task_once`
stays, and calls the new function. A later migration may drop it.

In use is CREATE_TASK_WITH_KEY. The rest is for those instances, and for the downgrade.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"

# Two calls never deadlock: a call waits for another one only in its first statement, when it has
# locked no row itself. The last statement skips expired rows that another call has locked.
# PL/pgSQL keeps a statement's plan for as long as the connection lasts: without
# `enable_seqscan = off`, one that was made for a nearly empty table would read the whole of it
# when it has grown.
CREATE_TASK_WITH_KEY = """
CREATE FUNCTION create_task_with_key(
    new_task task, new_key text, new_fingerprint bytea, hours integer
) RETURNS SETOF task ROWS 1 LANGUAGE plpgsql SET enable_seqscan = off AS $$
-- Returns the new task, or the one that the first request with this key created, as it was then;
-- no row if that request had another fingerprint.
#variable_conflict use_column
DECLARE
    expiry timestamptz := now() - hours * interval '1 hour';
    new_values jsonb := to_jsonb(new_task);
    answered jsonb;
BEGIN
    -- Insert the key, or take over an expired one. A concurrent duplicate waits here until the
    -- first has committed.
    INSERT INTO idempotency_key AS kept (user_id, key, fingerprint, answer)
    VALUES (new_task.user_id, new_key, new_fingerprint, new_values)
    ON CONFLICT (user_id, key) DO UPDATE
        SET fingerprint = excluded.fingerprint, answer = excluded.answer,
            created_at = excluded.created_at
        WHERE kept.created_at < expiry;

    IF NOT FOUND THEN
        SELECT kept.answer INTO answered FROM idempotency_key AS kept
        WHERE kept.user_id = new_task.user_id AND kept.key = new_key
            AND kept.fingerprint = new_fingerprint;
        IF FOUND THEN
            -- Columns that were added since this answer was stored are taken from the retry's task.
            RETURN NEXT jsonb_populate_record(new_task, answered);
        END IF;
        RETURN;
    END IF;

    INSERT INTO task OVERRIDING SYSTEM VALUE VALUES (new_task.*);

    DELETE FROM idempotency_key
    WHERE user_id = new_task.user_id AND key = ANY (ARRAY(
        SELECT old.key FROM idempotency_key AS old
        WHERE old.user_id = new_task.user_id AND old.created_at < expiry
        ORDER BY old.created_at LIMIT 100 FOR UPDATE SKIP LOCKED
    ));

    RETURN NEXT new_task;
END $$
"""

# What the old version calls: it returns the task's id, the text of the answer, and whether the
# fingerprint is the first one's.
CREATE_TASK_ONCE = """
CREATE FUNCTION create_task_once(
    new_task task, new_answer text, new_key text, new_fingerprint bytea, hours integer
) RETURNS TABLE (task_id bigint, answer text, same boolean) ROWS 1 LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT made.id, json_build_object(
            'id', made.id, 'user_id', made.user_id, 'title', made.title,
            'description', made.description, 'complete', made.complete,
            'created_at',
            to_char(timezone('UTC', made.created_at), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'updated_at',
            to_char(timezone('UTC', made.updated_at), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
        )::text, true
        FROM create_task_with_key(new_task, new_key, new_fingerprint, hours) AS made;
    IF NOT FOUND THEN
        RETURN QUERY SELECT new_task.id, new_answer, false;
    END IF;
END $$
"""

# For the downgrade: the text of an answer whose values are in the column `answer`.
ANSWER_AS_TEXT = """
json_build_object(
    'id', answer -> 'id', 'user_id', answer -> 'user_id', 'title', answer -> 'title',
    'description', answer -> 'description', 'complete', answer -> 'complete',
    'created_at',
    to_char(
        timezone('UTC', (answer ->> 'created_at')::timestamptz), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
    ),
    'updated_at',
    to_char(
        timezone('UTC', (answer ->> 'updated_at')::timestamptz), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
    )
)::text
"""

# For the downgrade: the function as migration 0003 creates it.
CREATE_TASK_ONCE_0003 = """
CREATE FUNCTION create_task_once(
    new_task task, new_answer text, new_key text, new_fingerprint bytea, hours integer
) RETURNS TABLE (task_id bigint, answer text, same boolean) ROWS 1
LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    expiry timestamptz := now() - hours * interval '1 hour';
BEGIN
    -- Insert the key, or take over an expired one. A concurrent duplicate waits here until the
    -- first has committed.
    INSERT INTO idempotency_key AS kept (user_id, key, fingerprint, task_id, answer)
    VALUES (new_task.user_id, new_key, new_fingerprint, new_task.id, new_answer)
    ON CONFLICT (user_id, key) DO UPDATE
        SET fingerprint = excluded.fingerprint, task_id = excluded.task_id,
            answer = excluded.answer, created_at = excluded.created_at
        WHERE kept.created_at < expiry;

    IF NOT FOUND THEN
        -- The key is in use: its first answer is given again.
        RETURN QUERY SELECT kept.task_id, kept.answer, kept.fingerprint = new_fingerprint
            FROM idempotency_key AS kept
            WHERE kept.user_id = new_task.user_id AND kept.key = new_key;
        RETURN;
    END IF;

    INSERT INTO task OVERRIDING SYSTEM VALUE VALUES (new_task.*);

    DELETE FROM idempotency_key
    WHERE user_id = new_task.user_id AND key = ANY (ARRAY(
        SELECT old.key FROM idempotency_key AS old
        WHERE old.user_id = new_task.user_id AND old.created_at < expiry
        ORDER BY old.created_at LIMIT 100 FOR UPDATE SKIP LOCKED
    ));

    RETURN QUERY SELECT new_task.id, new_answer, true;
END $$
"""


def upgrade() -> None:
    op.execute("DROP FUNCTION create_task_once")
    # the text is a JSON object of the task's columns
    op.alter_column(
        "idempotency_key", "answer", type_=postgresql.JSONB(), postgresql_using="answer::jsonb"
    )
    op.drop_column("idempotency_key", "task_id")  # it is one of the values
    op.execute(CREATE_TASK_WITH_KEY)
    op.execute(CREATE_TASK_ONCE)


def downgrade() -> None:
    op.execute("DROP FUNCTION create_task_once")
    op.execute("DROP FUNCTION create_task_with_key")
    op.add_column("idempotency_key", sa.Column("task_id", sa.BigInteger()))
    op.execute("UPDATE idempotency_key SET task_id = (answer ->> 'id')::bigint")
    op.alter_column("idempotency_key", "task_id", nullable=False)
    op.alter_column("idempotency_key", "answer", type_=sa.Text(), postgresql_using=ANSWER_AS_TEXT)
    op.execute(CREATE_TASK_ONCE_0003)
