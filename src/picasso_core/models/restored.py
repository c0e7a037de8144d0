"""After PostgreSQL was filled from a dump: it counts its transactions anew, and what came before would be last."""

from __future__ import annotations

from django.db import connection, transaction

from ..patience import at_most

PATIENCE_SECONDS = 3600.0
# A transaction with the number xmax has yet to begin on this server; who has read all that there is waits for it.
AHEAD = """
SELECT (SELECT max(id) FROM picasso_event WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint),
    (SELECT max(xid) FROM (SELECT xid FROM picasso_follower UNION ALL SELECT xid FROM picasso_webhook) AS followers)
        > pg_snapshot_xmax(pg_current_snapshot())::text::bigint
"""
# By the id where to go on: an event twice rather than none.
FOLLOWERS = """
UPDATE {table} SET xid = 0, event = coalesce(
    (SELECT min(id) - 1 FROM picasso_event WHERE (xid, id) > ({table}.xid, {table}.event) AND id <= %s), %s::bigint)
WHERE xid > pg_snapshot_xmax(pg_current_snapshot())::text::bigint
"""
BACKFILLS = "UPDATE picasso_backfill SET xid = 0 WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint"


def renumber() -> int:
    """Put the events of before in front of all others, by their ids, and with them whoever follows the log.

    It returns how many there were: none, unless the database has just come from a dump.
    """
    if connection.vendor == "sqlite":
        return 0
    with connection.cursor() as cursor:
        cursor.execute(AHEAD)
        last, followers = cursor.fetchone()
        if last is None and not followers:
            return 0
        last = last or 0
        # Readers see all of it or nothing; what is written meanwhile has greater ids.
        with at_most(PATIENCE_SECONDS), transaction.atomic():
            cursor.execute("SET LOCAL statement_timeout = 0")
            for table in ("picasso_follower", "picasso_webhook"):
                cursor.execute(FOLLOWERS.format(table=table), [last, last])
            cursor.execute(BACKFILLS)
            cursor.execute("UPDATE picasso_event SET xid = 0 WHERE id <= %s", [last])
            return int(cursor.rowcount)
