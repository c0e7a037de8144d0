"""The index: brought up to date after the fact by following the log of events, asked for Files that have words."""

from __future__ import annotations

import json
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.contrib.postgres.search import SearchQuery, SearchRank, SearchVectorField
from django.core.files.storage import default_storage
from django.db import IntegrityError, connection, models, transaction
from django.db.models import F, Func, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast

from ..models import Artifact, Entry, Event, File, Follower, Job
from .words import Term, words

FOLLOWER = "search"
BATCH = 200
LONGEST = 256 * 1024
"""Characters of one processor's text that are indexed."""
ROOM, OVERHEAD, PLACE = 1_000_000, 3, 2
"""A tsvector has at most 1,048,575 bytes: each word once, with so much beside it, and each place where it stands."""
RANKED = 2000
"""So many hits, the newest, are put into the order of their rank."""
CHANGES = (Event.Kind.UPLOADED, Event.Kind.SUCCEEDED, Event.Kind.REPROCESSED, Event.Kind.RETRIED, Event.Kind.BACKFILLED)


def catch_up(seconds: float) -> None:
    """Follow the log to its end, for so long at the most."""
    until = time.monotonic() + seconds
    while follow() and time.monotonic() < until:
        continue


def follow() -> bool:
    """Bring the Files of the next events up to date; True if there may be more. Several processes take turns."""
    if not Event.objects.after(Follower.named(FOLLOWER).position, 1):
        return False
    try:
        return _follow()
    except IntegrityError:
        # A File was deleted in this moment: the next try does not find it.
        return True


def _follow() -> bool:
    with transaction.atomic():
        follower = Follower.objects.select_for_update(skip_locked=True).filter(name=FOLLOWER).first()
        if follower is None:
            return False
        events, position = Event.objects.page(follower.position, BATCH)
        update({event.file for event in events if event.kind in CHANGES})
        if position != follower.position:
            follower.move(position)
    return len(events) == BATCH


def update(ids: Iterable[uuid.UUID]) -> None:
    """Write the entries of these Files anew; those that are gone have none."""
    texts = _texts(File.objects.order_by().filter(pk__in=ids).only("pk", "name"))
    there = dict(Entry.objects.filter(file__in=texts).values_list("file", "texts"))
    changed = {pk: each for pk, each in texts.items() if there.get(pk) != each}
    Entry.objects.filter(file__in=changed).delete()
    entries = [Entry(file_id=pk, texts=each, words=_vector(each)) for pk, each in changed.items()]
    Entry.objects.bulk_create(entries)
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            rows = [(entry.pk, *_columns(entry.texts)) for entry in entries]
            cursor.executemany("INSERT INTO picasso_words (rowid, name, found) VALUES (%s, %s, %s)", rows)


def refresh(ids: Iterable[uuid.UUID]) -> None:
    """Bring Files up to date of which no event tells, while whoever follows the log waits."""
    Follower.named(FOLLOWER)
    while True:
        try:
            with transaction.atomic():
                Follower.objects.select_for_update().get(name=FOLLOWER)
                return update(ids)
        except IntegrityError:
            # A File was deleted in this moment: the next try does not find it.
            continue


def rebuild() -> Iterator[int]:
    """Bring every File up to date and yield how many are done, for an archive that is older than its events."""
    last, done = uuid.UUID(int=0), 0
    while batch := list(File.objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]):
        refresh(batch)
        last, done = batch[-1], done + len(batch)
        yield done


def having(files: models.QuerySet[File], terms: Sequence[Term]) -> models.QuerySet[File]:
    """Keep those of ``files`` that have the words; none where there are none to look for."""
    if not terms:
        return files.none()
    if connection.vendor == "sqlite":
        matching = RawSQL("SELECT rowid FROM picasso_words WHERE picasso_words MATCH %s", [_fts5(terms)])
        return files.filter(entry__in=matching)
    return files.filter(entry__words=_query(terms))


def ranked(files: models.QuerySet[File], terms: Sequence[Term]) -> list[uuid.UUID]:
    """Return those of ``files`` that have the words, the best first; of many hits the newest ``RANKED``."""
    newest = dict(having(files, terms).order_by("-pk").values_list("entry", "pk")[:RANKED])
    if connection.vendor == "sqlite":
        return _ranked_by_fts5(newest, terms) if newest else []
    found = Entry.objects.filter(pk__in=newest).annotate(rank=SearchRank(F("words"), _query(terms)))
    return list(found.order_by("-rank", "-file").values_list("file", flat=True))


def _ranked_by_fts5(newest: dict[int, uuid.UUID], terms: Sequence[Term]) -> list[uuid.UUID]:
    rank = (
        "SELECT rowid FROM picasso_words WHERE picasso_words MATCH %s AND rowid IN (SELECT value FROM json_each(%s)) "
    )
    with connection.cursor() as cursor:
        cursor.execute(
            rank + "ORDER BY bm25(picasso_words, 10.0, 1.0), rowid DESC", [_fts5(terms), json.dumps([*newest])]
        )
        return [newest[row] for (row,) in cursor.fetchall()]


def _query(terms: Sequence[Term]) -> SearchQuery:
    return SearchQuery(_tsquery(terms), config="simple", search_type="raw")


def _tsquery(terms: Iterable[Term]) -> str:
    """Write the terms for PostgreSQL; words are letters and digits, so that none can be an operator."""
    parts = []
    for term in terms:
        phrase = " <-> ".join(f"'{word}'" for word in term.words) + (":*" if term.prefix else "")
        parts.append(f"!({phrase})" if term.without else f"({phrase})")
    return " & ".join(parts)


def _fts5(terms: Iterable[Term]) -> str:
    """Write the terms for SQLite."""
    phrases = {term: f'"{" ".join(term.words)}"{"*" if term.prefix else ""}' for term in terms}
    wanted = " AND ".join(phrase for term, phrase in phrases.items() if not term.without)
    without = " OR ".join(phrase for term, phrase in phrases.items() if term.without)
    return f"({wanted}) NOT ({without})" if without else wanted


def _texts(files: Iterable[File]) -> dict[uuid.UUID, dict[str, str]]:
    """Return each File's name, under no name, and what its processors found: strings in the data, files of text."""
    found: dict[uuid.UUID, dict[str, str]] = {file.pk: {"": file.name} for file in files}
    shown = Job.objects.order_by().filter(file__in=found, current=True, state=Job.State.SUCCEEDED)
    jobs = list(shown.only("file_id", "processor", "data"))
    written = defaultdict(list)
    for artifact in Artifact.objects.filter(job__in=jobs, media_type__startswith="text/plain").only("job_id", "key"):
        written[artifact.job_id].append(_read(artifact.key))
    for job in jobs:
        # The whole text rather than the preview of it that is in the data.
        text = "\n".join([*written[job.pk], *([] if written[job.pk] else _strings(job.data))])[:LONGEST]
        if text.strip():
            found[job.file_id][job.processor] = text.replace("\0", " ")
    return found


def _read(key: str) -> str:
    try:
        with default_storage.open(key) as stream:
            return bytes(stream.read(LONGEST)).decode(errors="replace")
    except OSError:
        return ""


def _strings(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list):
        for value in data.values() if isinstance(data, dict) else data:
            yield from _strings(value)


def _columns(texts: dict[str, str]) -> tuple[str, str]:
    """Return the words of the name and those that were found, the first of them that a tsvector has room for."""
    room, seen = ROOM, set[str]()

    def fitting(group: Iterable[str]) -> Iterator[str]:
        nonlocal room
        for word in (word for text in group for word in words(text)):
            room -= PLACE + (0 if word in seen else len(word.encode()) + OVERHEAD)
            if room < 0:
                return
            seen.add(word)
            yield word

    name = " ".join(fitting([texts[""]]))
    return name, " ".join(fitting(text for who, text in texts.items() if who))


def _vector(texts: dict[str, str]) -> Any:
    if connection.vendor == "sqlite":
        return None
    name, found = _columns(texts)
    return _Vector(Cast(Value(name), models.TextField()), Cast(Value(found), models.TextField()))


class _Vector(Func):
    """The words with their weights: those of the name count most."""

    template = "(setweight(to_tsvector('simple', %(expressions)s), 'D'))"
    arg_joiner = "), 'A') || setweight(to_tsvector('simple', "
    output_field = SearchVectorField()
