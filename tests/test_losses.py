"""Workers and sandboxes that are lost: how often a file may have bad luck, and when it is to blame."""

import pytest
from django.db import OperationalError

from picasso_core import execution, sweeper
from picasso_core.models import File, Job, Offer
from picasso_core.models.work import MAX_LOSSES
from picasso_core.outlast import outlast
from tests.clock import expire, now_startable
from tests.factories import FileFactory, OfferFactory

pytestmark = pytest.mark.django_db


def lose(work) -> None:
    """Have a worker claim it and be lost."""
    assert type(work).claim(work.pk)
    expire(work)


def test_a_good_file_survives_the_loss_of_five_workers_at_its_identification_and_five_at_its_job(slot):
    OfferFactory()
    file = FileFactory()
    for _ in range(MAX_LOSSES):
        lose(file)
        sweeper.repair()
    held = File.claim(file.pk)
    held.identified("application/vnd.picasso.echo", [], Offer.objects.all())
    job = Job.objects.get()
    for _ in range(MAX_LOSSES):
        lose(job)
        sweeper.repair()
    execution.process(file.pk, slot)
    job.refresh_from_db()
    assert (job.state, job.losses, job.attempts) == ("succeeded", MAX_LOSSES, 0)
    assert File.objects.get().status == "processed"


def test_lost_workers_and_crashed_sandboxes_do_not_add_up(slot):
    OfferFactory()
    file = FileFactory(content=b"picasso-echo\nsignal SIGKILL")
    execution.process(file.pk, slot)
    job = Job.objects.get()
    for attempts in (1, 2):
        for _ in range(2):
            now_startable(job)
            lose(job)
        job.refresh_from_db()
        assert (job.state, job.attempts) == ("running", attempts)
        execution.process(file.pk, slot)
    job.refresh_from_db()
    assert (job.state, job.error_code, job.attempts, job.losses) == ("failed", "crashed", 3, 4)


@pytest.mark.parametrize("stopping", [False, True])
def test_a_result_is_recorded_as_soon_as_the_database_answers_unless_the_worker_has_to_end(stopping, monkeypatch):
    monkeypatch.setattr("picasso_core.outlast.PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("picasso_core.outlast.connection.close", lambda: None)
    answers = iter([OperationalError("gone"), OperationalError("gone"), None])

    def record() -> str:
        if error := next(answers):
            raise error
        return "recorded"

    if stopping:
        with pytest.raises(OperationalError):
            outlast(record, lambda: True)
    else:
        assert outlast(record, lambda: False) == "recorded"
