"""GET /status/: how the service stands, in numbers that an operator can watch."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext

from picasso_core.models import Beat, File, Job
from tests.clock import advance, expire
from tests.factories import ECHO, FileFactory, JobFactory, OfferFactory
from tests.multiply import multiply

pytestmark = pytest.mark.django_db


def status() -> dict:
    answer = Client().get("/status/")
    assert answer.status_code == 200
    return answer.json()


def test_an_installation_that_has_just_begun():
    assert status() == {
        "oldest_upload_seconds": None,
        "open_files": 0,
        "open_jobs": 0,
        "waiting_jobs": 0,
        "expired_leases": 0,
        "queues": [{"name": "picasso.v1", "messages": None, "worker_seconds": None}],
        "workers": [],
        "sweeper_seconds": None,
        "orphans_removed": 0,
        "orphans_walked_at": None,
    }


def test_what_is_open_and_how_old_the_oldest_of_it_is():
    FileFactory(media_type=ECHO, status="processed", due_at=None)
    JobFactory(file__media_type=ECHO)
    advance(100)
    FileFactory()
    JobFactory(state="waiting", due_at=None, file__status="processed")
    found = status()
    assert found["oldest_upload_seconds"] == pytest.approx(100, abs=2)
    assert (found["open_files"], found["open_jobs"], found["waiting_jobs"]) == (2, 1, 1)


def test_claims_whose_worker_was_lost():
    for work in (FileFactory(), JobFactory(), JobFactory()):
        type(work).claim(work.pk)
    assert status()["expired_leases"] == 0
    expire(File.objects.filter(media_type=None).get())
    expire(Job.objects.first())
    assert status()["expired_leases"] == 2


def test_who_is_alive_and_what_waits_where():
    OfferFactory(queue="gpu")
    OfferFactory(processor="other", queue="gpu")
    advance(50)
    OfferFactory()
    Beat.objects.beat(messages={"picasso.v1": 7}, orphans=2, walked_at=Now())
    Beat.objects.beat(messages={"picasso.v1": 8}, orphans=1)
    found = status()
    gpu, here = found["queues"]
    assert (here["name"], here["messages"]) == ("picasso.v1", 8)
    assert here["worker_seconds"] < 5
    assert (gpu["name"], gpu["messages"], gpu["worker_seconds"]) == ("gpu", None, pytest.approx(50, abs=2))
    assert found["sweeper_seconds"] < 5
    assert (found["orphans_removed"], found["orphans_walked_at"] is not None) == (3, True)


def test_it_needs_a_token_where_there_is_one(settings):
    settings.PICASSO_TOKENS = ["t" * 32]
    assert Client().get("/status/").status_code == 401


@pytest.mark.skipif(
    connection.vendor != "postgresql", reason="only PostgreSQL says how it looks: in make test-services"
)
def test_no_question_reads_the_whole_archive():
    job = JobFactory(state="succeeded", due_at=None, file__status="processed", file__media_type=ECHO)
    multiply(job.file, 20_000)
    File.objects.filter(pk__in=File.objects.values("pk")[:200]).update(media_type=None, status="queued", due_at=Now())
    jobs = File.objects.exclude(pk=job.file_id).values_list("pk", flat=True)[:5_000]
    for start in range(0, 5_000, 1_000):
        Job.objects.bulk_create(
            Job(file_id=pk, processor="echo", version="1", queue="q", state="succeeded", due_at=None)
            for pk in jobs[start : start + 1_000]
        )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE picasso_file, picasso_job")
        with CaptureQueriesContext(
            connection,
        ) as asked:
            status()
        for question in list(asked):
            cursor.execute("EXPLAIN " + question["sql"])
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "Seq Scan on picasso_file" not in plan, plan
            assert "Seq Scan on picasso_job" not in plan, plan
    assert len(asked) <= 12
