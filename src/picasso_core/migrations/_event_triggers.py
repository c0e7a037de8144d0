"""The triggers that write the log of events, on each database.

On SQLite a migration that makes a table anew drops its triggers: one that does so to File or Job, or to Event, has
`RunPython(forget, write)` before and `RunPython(write, forget)` after it. A test holds that they are there in the end.
"""

POSTGRESQL = """
CREATE OR REPLACE FUNCTION picasso_log_file() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    CASE TG_OP
        WHEN 'INSERT' THEN
            INSERT INTO picasso_event (kind, file, data)
            VALUES ('file.uploaded', NEW.id, jsonb_build_object('name', NEW.name, 'size', NEW.size));
        WHEN 'UPDATE' THEN
            INSERT INTO picasso_event (kind, file, data)
            VALUES ('file.identified', NEW.id, jsonb_build_object('media_type', NEW.media_type));
        WHEN 'DELETE' THEN
            INSERT INTO picasso_event (kind, file, data) VALUES ('file.deleted', OLD.id, '{}');
    END CASE;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION picasso_log_job() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    kind text;
    data jsonb := jsonb_build_object('lane', NEW.lane);
BEGIN
    CASE
        WHEN TG_OP = 'INSERT' THEN
            kind := CASE
                WHEN NEW.state = 'running' THEN 'job.started'
                WHEN NEW.repeat > 0 THEN 'job.reprocessed'
                ELSE 'job.backfilled'
            END;
        WHEN NEW.state = 'running' THEN
            kind := 'job.started';
        WHEN NEW.state IN ('succeeded', 'failed', 'declined', 'cancelled') THEN
            kind := 'job.' || NEW.state;
            IF NEW.error_code <> '' THEN
                data := data || jsonb_build_object('error_code', NEW.error_code);
            END IF;
        ELSE
            kind := 'job.retried';
    END CASE;
    INSERT INTO picasso_event (kind, file, job, processor, version, data)
    VALUES (kind, NEW.file_id, NEW.id, NEW.processor, NEW.version, data);
    RETURN NULL;
END $$;

CREATE TRIGGER event_file_written AFTER INSERT OR DELETE ON picasso_file
FOR EACH ROW EXECUTE FUNCTION picasso_log_file();

CREATE TRIGGER event_file_identified AFTER UPDATE OF media_type ON picasso_file
FOR EACH ROW WHEN (NEW.media_type IS NOT NULL AND NEW.media_type IS DISTINCT FROM OLD.media_type)
EXECUTE FUNCTION picasso_log_file();

CREATE TRIGGER event_job_made AFTER INSERT ON picasso_job
FOR EACH ROW WHEN (NEW.lane = 'backfill' OR NEW.repeat > 0 OR NEW.state = 'running')
EXECUTE FUNCTION picasso_log_job();

-- The second line: a worker has taken the Job over from one that was lost.
CREATE TRIGGER event_job_moved AFTER UPDATE OF state ON picasso_job
FOR EACH ROW WHEN (
    (NEW.state <> OLD.state AND NEW.state IN ('running', 'succeeded', 'failed', 'declined', 'cancelled'))
    OR (NEW.state = 'running' AND NEW.losses > OLD.losses)
    OR (NEW.state IN ('queued', 'waiting') AND OLD.finished_at IS NOT NULL)
)
EXECUTE FUNCTION picasso_log_job();
"""

NOT_POSTGRESQL = """
DROP TRIGGER IF EXISTS event_file_written ON picasso_file;
DROP TRIGGER IF EXISTS event_file_identified ON picasso_file;
DROP TRIGGER IF EXISTS event_job_made ON picasso_job;
DROP TRIGGER IF EXISTS event_job_moved ON picasso_job;
DROP FUNCTION IF EXISTS picasso_log_file();
DROP FUNCTION IF EXISTS picasso_log_job();
"""

SQLITE = [
    """
    CREATE TRIGGER event_file_written AFTER INSERT ON picasso_file
    BEGIN
        INSERT INTO picasso_event (kind, file, data)
        VALUES ('file.uploaded', NEW.id, json_object('name', NEW.name, 'size', NEW.size));
    END
    """,
    """
    CREATE TRIGGER event_file_deleted AFTER DELETE ON picasso_file
    BEGIN
        INSERT INTO picasso_event (kind, file, data) VALUES ('file.deleted', OLD.id, '{}');
    END
    """,
    """
    CREATE TRIGGER event_file_identified AFTER UPDATE OF media_type ON picasso_file
    WHEN NEW.media_type IS NOT NULL AND NEW.media_type IS NOT OLD.media_type
    BEGIN
        INSERT INTO picasso_event (kind, file, data)
        VALUES ('file.identified', NEW.id, json_object('media_type', NEW.media_type));
    END
    """,
    """
    CREATE TRIGGER event_job_made AFTER INSERT ON picasso_job
    WHEN NEW.lane = 'backfill' OR NEW.repeat > 0 OR NEW.state = 'running'
    BEGIN
        INSERT INTO picasso_event (kind, file, job, processor, version, data)
        VALUES (
            CASE
                WHEN NEW.state = 'running' THEN 'job.started'
                WHEN NEW.repeat > 0 THEN 'job.reprocessed'
                ELSE 'job.backfilled'
            END,
            NEW.file_id, NEW.id, NEW.processor, NEW.version, json_object('lane', NEW.lane)
        );
    END
    """,
    """
    CREATE TRIGGER event_job_moved AFTER UPDATE OF state ON picasso_job
    WHEN (NEW.state <> OLD.state AND NEW.state IN ('running', 'succeeded', 'failed', 'declined', 'cancelled'))
        OR (NEW.state = 'running' AND NEW.losses > OLD.losses)
        OR (NEW.state IN ('queued', 'waiting') AND OLD.finished_at IS NOT NULL)
    BEGIN
        INSERT INTO picasso_event (kind, file, job, processor, version, data)
        VALUES (
            CASE
                WHEN NEW.state = 'running' THEN 'job.started'
                WHEN NEW.state IN ('succeeded', 'failed', 'declined', 'cancelled') THEN 'job.' || NEW.state
                ELSE 'job.retried'
            END,
            NEW.file_id, NEW.id, NEW.processor, NEW.version,
            CASE
                WHEN NEW.state IN ('succeeded', 'failed', 'declined', 'cancelled') AND NEW.error_code <> ''
                THEN json_object('lane', NEW.lane, 'error_code', NEW.error_code)
                ELSE json_object('lane', NEW.lane)
            END
        );
    END
    """,
]

NOT_SQLITE = [
    f"DROP TRIGGER IF EXISTS {name}"
    for name in (
        "event_file_written",
        "event_file_deleted",
        "event_file_identified",
        "event_job_made",
        "event_job_moved",
    )
]


def write(apps, schema_editor):
    """Have the triggers, in place of those that are there."""
    forget(apps, schema_editor)
    for statement in SQLITE if schema_editor.connection.vendor == "sqlite" else [POSTGRESQL]:
        schema_editor.execute(statement, params=None)


def forget(apps, schema_editor):
    """Drop the triggers."""
    for statement in NOT_SQLITE if schema_editor.connection.vendor == "sqlite" else [NOT_POSTGRESQL]:
        schema_editor.execute(statement, params=None)
