"""A page of 100 from 1,000 rows and from 1,000,000: the first one and one from the middle."""

from __future__ import annotations

import statistics
import time
import urllib.parse

import archive  # noqa: F401 - it sets Django up
import psycopg
from client import Client, fetch, page
from measure import Line
from servers import Stage, database, web

from picasso_core.api.pagination import Cursor

ROWS = {"small": 1_000, "large": 1_000_000}
ROUNDS = 5
PAGES = 40
FACTOR = 1.2

FILES = """
INSERT INTO picasso_file (id, file, name, declared_type, size, sha256, media_type, identified_by, uploaded_at,
    status, processed, identify_again, attempts, losses, due_at)
SELECT id, 'files/' || right(id::text, 2) || '/' || id, 'photo ' || n || '.jpg', 'image/jpeg', 1000 + n,
    md5(n::text) || md5(n::text), 'image/jpeg', '[]', timestamptz '2026-01-01' + n * interval '1 second',
    'processed', true, false, 0, 0, NULL
FROM (SELECT n, (lpad(to_hex(1767225600000 + n * 1000), 12, '0') || '7' || left(md5(n::text), 3) || '8'
    || right(md5(n::text), 15))::uuid AS id FROM generate_series(1, %s) AS n) AS rows
"""
# Number 0 of each File's jobs, with an id of the same kind.
JOBS = """
INSERT INTO picasso_job (id, file_id, processor, version, distribution, queue, lane, repeat, current, state, data,
    warnings, digest, error_code, error, detail, queued_at, started_at, finished_at, attempts, losses, due_at)
SELECT overlay(id::text placing 'a' from 20)::uuid, id, 'image', '1', 'picasso-image 0.1.0', 'picasso.v1',
    'interactive', 0, true, 'succeeded', '{"width": 4000, "height": 3000}', '[]', '', '', '', '', uploaded_at,
    uploaded_at, uploaded_at, 0, 0, NULL
FROM picasso_file
"""


INDEXES = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
WHERE indrelid IN ('picasso_file'::regclass, 'picasso_job'::regclass) AND NOT indisunique
"""


def fill(url: str, rows: int) -> None:
    """As many Files, each with a Job that has ended."""
    with psycopg.connect(url, autocommit=True) as connection:
        # Twice as quick: no check of the keys between the two, and the indexes at the end.
        connection.execute("SET session_replication_role = replica")
        indexes = connection.execute(INDEXES).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.execute(FILES.replace("%s", str(rows)))
        connection.execute(JOBS)
        for _, definition in indexes:
            connection.execute(definition)
        connection.execute("VACUUM ANALYZE")


def measure(stage: Stage) -> list[Line]:
    with (
        database(stage, "small") as small,
        database(stage, "large") as large,
        web(stage.environment("small", small)) as (_, small_port),
        web(stage.environment("large", large)) as (_, large_port),
    ):
        ports = {"small": small_port, "large": large_port}
        urls = {"small": small, "large": large}
        for name, url in urls.items():
            fill(url, ROWS[name])
        paths = {(name, "first"): "/files/" for name in ports}
        paths |= {(name, "middle"): middle(ports[name], url, ROWS[name]) for name, url in urls.items()}
        times: dict[tuple[str, str], list[float]] = {key: [] for key in paths}
        for number in range(ROUNDS + 1):
            for key in sorted(paths, reverse=bool(number % 2)):
                took = timed(ports[key[0]], paths[key])
                if number:  # the first round is for the caches
                    times[key].append(took)
    return [
        Line(
            name=f"the {which} page of 100 of 1,000,000 (of 1,000)",
            ours=times["large", which],
            theirs=times["small", which],
            unit=" ms",
            at_most=FACTOR,
        )
        for which in ("first", "middle")
    ]


def middle(port: int, url: str, rows: int) -> str:
    """The page after the File in the middle."""
    with psycopg.connect(url) as connection:
        query = "SELECT uploaded_at, id FROM picasso_file ORDER BY uploaded_at DESC, id DESC OFFSET %s LIMIT 1"
        row = connection.execute(query, [rows // 2]).fetchone()
    assert row is not None
    path = f"/files/?{urllib.parse.urlencode({'cursor': str(Cursor('-uploaded_at', *row))})}"
    assert len(fetch(port, path)["results"]) == 100
    return path


def timed(port: int, path: str) -> float:
    """The median time of some pages, one after the other, in milliseconds."""
    client, request, took = Client(port), page(path), []
    for _ in range(PAGES):
        start = time.perf_counter()
        client.ask(request)
        took.append((time.perf_counter() - start) * 1000)
    client.close()
    return statistics.median(took)
