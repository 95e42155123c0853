"""The function that creates a task once for each idempotency key."""

from alembic import op

revision = "0003"
down_revision = "0002"

# Two calls never deadlock: a call waits for another one only in its first statement, when it has
# locked no row itself. The last statement skips expired rows that another call has locked.
# PL/pgSQL keeps a statement's plan for as long as the connection lasts: without
# `enable_seqscan = off`, one that was made for a nearly empty table would read the whole of it
# when it has grown.
CREATE_TASK_ONCE = """
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
    op.execute(CREATE_TASK_ONCE)


def downgrade() -> None:
    op.execute("DROP FUNCTION create_task_once")
