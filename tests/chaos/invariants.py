"""What must hold in the end, asked of the database and the disk, not of Picasso."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from .load import Accepted
from .samples import KINDS
from .servers import Database

FILES = "SELECT id::text, name, file, size, sha256, status, media_type, uploaded_at, lease_token FROM picasso_file"
JOBS = """
    SELECT id::text, file_id::text, processor, version, state, error_code, losses, lease_token, finished_at
      FROM picasso_job
"""
ARTIFACTS = "SELECT job_id::text, name, media_type, size, key FROM picasso_artifact"
OPEN = """
    SELECT (SELECT count(*) FROM picasso_file
             WHERE media_type IS NULL OR status IN ('queued', 'processing') OR lease_token IS NOT NULL)
         + (SELECT count(*) FROM picasso_job
             WHERE state IN ('queued', 'running', 'waiting') OR lease_token IS NOT NULL)
"""
NAMED_BY_FILES, NAMED_BY_ARTIFACTS = "SELECT file FROM picasso_file", "SELECT key FROM picasso_artifact"
ENDED = ("processed", "partial", "failed", "unsupported")

Row = Mapping[str, Any]
Effect = tuple[str, tuple[tuple[str, str, str, tuple[tuple[str, str], ...]], ...]]
"""A status, and each job's processor, state, error code and artifacts by name and media type."""


@dataclass
class Findings:
    """What is wrong: for each sort of it the File's id (or another name) and a sentence."""

    lost: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    duplicated: dict[str, str] = field(default_factory=dict)
    stuck: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    orphans: dict[str, str] = field(default_factory=dict)
    unacknowledged: int = 0
    """Files whose uploader never got the answer."""
    losses: int = 0
    waited: list[float] = field(default_factory=list)
    """Seconds from each upload under faults to the end of its last job."""


@dataclass(frozen=True)
class Promised:
    """What ought to be there."""

    accepted: Mapping[str, Accepted]
    usual: Mapping[str, Effect]
    """What becomes of each kind of file while nothing is wrong."""
    keys: bool
    """Whether uploads had an Idempotency-Key."""
    since: float
    """When the faults began, by the wall clock."""


def still_open(database: Database) -> int:
    """Count what has not ended or is held by somebody."""
    with database.connect() as connection:
        found = connection.execute(OPEN).fetchone()
    return int(found[0]) if found else 0


def drain(database: Database, seconds: float) -> float | None:
    """Wait until nothing is open; how long that took, None if it did not end."""
    begun = time.monotonic()
    while time.monotonic() < begun + seconds:
        if not still_open(database):
            return time.monotonic() - begun
        time.sleep(0.5)
    return None


def check(database: Database, storage: Path, promised: Promised) -> Findings:
    """Compare what was promised with what is there."""
    with database.connect() as connection:
        files, jobs, artifacts = (_rows(connection, query) for query in (FILES, JOBS, ARTIFACTS))
    found = Findings()
    rows = {row["id"]: row for row in files}
    for each in promised.accepted.values():
        if each.id not in rows:
            found.lost[each.id] = f"{each.sample.name} was accepted and has no row"
        elif rows[each.id]["sha256"] != each.sample.sha256:
            found.wrong[each.id] = f"{each.sample.name} has another hash in its row"
    found.unacknowledged = len(rows.keys() - promised.accepted.keys())
    if promised.keys:
        for name, count in Counter(row["name"] for row in files).items():
            if count > 1:
                found.duplicated[name] = f"{name} was uploaded once, with a key, and is there {count} times"
    found.losses = sum(job["losses"] for job in jobs)
    of_file, of_job = _grouped(jobs, "file_id"), _grouped(artifacts, "job_id")
    for row in files:
        _check_file(found, row, of_file.get(row["id"], []), of_job, storage, promised)
    found.orphans = dict.fromkeys(orphans(database, storage), "bytes that no row names")
    return found


def orphans(database: Database, storage: Path) -> list[str]:
    """Return the stored bytes that no row names."""
    stored = [str(path.relative_to(storage)) for path in storage.rglob("*") if path.is_file()]
    with database.connect() as connection:
        named = {key for query in (NAMED_BY_FILES, NAMED_BY_ARTIFACTS) for (key,) in connection.execute(query)}
    return sorted(key for key in stored if key not in named)


def collected(database: Database, storage: Path, seconds: float) -> int:
    """Wait until the sweeper has collected all bytes without a row, if it does; how many there were."""
    found, give_up = orphans(database, storage), time.monotonic() + seconds
    while orphans(database, storage) and time.monotonic() < give_up:
        time.sleep(2)
    return len(found)


def effect(jobs: list[Row], artifacts: Mapping[str, list[Row]], status: str) -> Effect:
    """Say what became of a File, without what differs from one to the next."""
    described = [
        (
            job["processor"],
            job["state"],
            job["error_code"],
            tuple(sorted((each["name"], each["media_type"]) for each in artifacts.get(job["id"], []))),
        )
        for job in jobs
    ]
    return status, tuple(sorted(described))


def learn(database: Database) -> dict[str, Effect]:
    """Say what becomes of each kind of file while nothing is wrong."""
    with database.connect() as connection:
        files, jobs, artifacts = (_rows(connection, query) for query in (FILES, JOBS, ARTIFACTS))
    of_file, of_job = _grouped(jobs, "file_id"), _grouped(artifacts, "job_id")
    return {_kind(row): effect(of_file.get(row["id"], []), of_job, row["status"]) for row in files}


def _check_file(
    found: Findings, row: Row, jobs: list[Row], artifacts: Mapping[str, list[Row]], storage: Path, promised: Promised
) -> None:
    key, name = row["id"], row["name"]
    content = _read(storage / row["file"])
    if content is None:
        found.lost[key] = f"{name} has a row and no bytes"
    elif hashlib.sha256(content).hexdigest() != row["sha256"] or len(content) != row["size"]:
        found.wrong[key] = f"{name} has other bytes than its hash says"
    open_jobs = [job for job in jobs if job["state"] in ("queued", "running", "waiting") or job["lease_token"]]
    if row["status"] not in ENDED or row["media_type"] is None or row["lease_token"] or open_jobs:
        found.stuck[key] = f"{name} is {row['status']}, its jobs {[job['state'] for job in jobs]}"
        return
    if len({(job["processor"], job["version"]) for job in jobs}) < len(jobs):
        found.duplicated[key] = f"{name} has two jobs of one processor and version"
    for job in jobs:
        for each in artifacts.get(job["id"], []):
            kept = _read(storage / each["key"])
            if kept is None or len(kept) != each["size"]:
                found.wrong[key] = f"{name} has an artifact {each['name']} without its bytes"
            elif _kind(row) == "echo" and content is not None and not content.endswith(kept):
                found.wrong[key] = f"{name} has an artifact of other content"
    now = effect(jobs, artifacts, row["status"])
    expected = promised.usual.get(_kind(row), now)
    if now != expected:
        more = sum(len(job[3]) for job in now[1]) > sum(len(job[3]) for job in expected[1])
        (found.duplicated if more else found.failed)[key] = f"{name} ended as {now}, usual is {expected}"
    ends = [job["finished_at"] for job in jobs if job["finished_at"]]
    if ends and row["uploaded_at"].timestamp() >= promised.since:
        found.waited.append((max(ends) - row["uploaded_at"]).total_seconds())


def _kind(row: Row) -> str:
    kind = str(row["name"]).partition("-")[0]
    return kind if kind in KINDS else ""


def _rows(connection: psycopg.Connection[Any], query: str) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return list(cursor.execute(query).fetchall())


def _grouped(rows: list[Row], by: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[by], []).append(row)
    return groups


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
