"""Bring one File up to date, through the real sandbox: every end that a run can have."""

from dataclasses import replace

import pytest
from django.core.files.storage import default_storage

from picasso_core.execution import Next, process
from picasso_core.models import File, Job, Offer
from tests.clock import advance, now_startable
from tests.factories import FileFactory, OfferFactory

pytestmark = pytest.mark.django_db


def end(content: bytes, slot, times: int = 1) -> tuple[File, Job]:
    """Process a File with this content ``times`` times and return what became of it."""
    OfferFactory()
    file = FileFactory(content=content)
    for _ in range(times):
        process(file.pk, slot)
        for job in Job.objects.all():
            now_startable(job)
    return File.objects.get(pk=file.pk), Job.objects.get(file=file)


def test_a_file_is_identified_and_processed_in_one_go(slot):
    file, job = end(b"picasso-echo\nhello\n", slot)
    assert (file.status, file.processed, file.media_type) == ("processed", True, "application/vnd.picasso.echo")
    assert (job.state, job.data, job.attempts, job.losses) == ("succeeded", {"text": "hello\n"}, 0, 0)
    assert job.queued_at <= job.started_at <= job.finished_at
    artifact = job.artifacts.get()
    assert (artifact.name, artifact.size) == ("echo.txt", 6)
    with default_storage.open(artifact.key) as stream:
        assert stream.read() == b"hello\n"


def test_processing_again_changes_nothing(slot):
    file, job = end(b"picasso-echo\nhello\n", slot)
    process(file.pk, slot)
    assert Job.objects.get() == job
    assert Job.objects.get().finished_at == job.finished_at


def test_an_invalid_file_fails_at_once_with_the_processors_sentence(slot):
    file, job = end(b"picasso-echo\nraise InvalidFile", slot)
    assert (file.status, file.processed) == ("failed", False)
    assert (job.state, job.error_code, job.error) == ("failed", "invalid_file", "The echo file asked for it.")
    assert job.attempts == 0


def test_a_declined_file_is_unsupported_and_not_failed(slot):
    file, job = end(b"picasso-echo\nraise Declined", slot)
    assert (file.status, job.state) == ("unsupported", "declined")


def test_a_bug_is_tried_three_times_and_blamed_on_the_distribution(slot):
    file, job = end(b"picasso-echo\nraise ValueError", slot, times=3)
    assert (file.status, job.state, job.error_code) == ("failed", "failed", "processor_bug")
    assert "picasso-echo 0.1.0, processor echo, version 1" in job.error
    assert "Traceback" in job.detail
    assert "Traceback" not in job.error


def test_a_bug_waits_a_little_before_the_next_attempt(slot):
    OfferFactory()
    file = FileFactory(content=b"picasso-echo\nraise ValueError")
    process(file.pk, slot)
    process(file.pk, slot)
    job = Job.objects.get()
    assert (job.state, job.attempts) == ("queued", 1)
    assert job.not_before > job.started_at
    assert File.objects.get().status == "processing"


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("signal SIGSEGV", "crashed", "SIGSEGV"),
        ("exit 3", "crashed", "exit status 3"),
        ("eat", "memory_limit", "memory"),
        ("raise MemoryError", "memory_limit", "memory"),
        ("raise SystemExit", "processor_bug", "crashed"),
    ],
)
def test_a_file_that_kills_its_sandbox_three_times_fails_with_a_code(slot, command, code, words):
    file, job = end(b"picasso-echo\n" + command.encode(), slot, times=3)
    assert (file.status, job.state, job.error_code, job.attempts) == ("failed", "failed", code, 3)
    assert words in job.error


def test_a_run_that_sleeps_past_the_wall_clock_is_stopped(slot):
    slot.offered["echo", "1"] = {**slot.offered["echo", "1"], "seconds": 0.2}
    _, job = end(b"picasso-echo\nsleep 30", slot, times=3)
    assert (job.state, job.error_code) == ("failed", "timeout")
    assert job.error == "Processing took longer than 0.2 seconds and was stopped (the processor's own limit)."


def test_a_run_that_spins_is_stopped_by_its_processor_time(slot):
    slot.offered["echo", "1"] = {**slot.offered["echo", "1"], "cpu_seconds": 0}
    _, job = end(b"picasso-echo\nspin", slot, times=3)
    assert (job.state, job.error_code) == ("failed", "cpu_limit")


def test_after_a_crash_the_next_file_is_processed_by_the_same_slot(slot):
    end(b"picasso-echo\nsignal SIGKILL", slot)
    file = FileFactory()
    process(file.pk, slot)
    assert File.objects.get(pk=file.pk).status == "processed"


def test_a_temporary_failure_backs_off_without_counting_an_attempt(slot):
    OfferFactory()
    file = FileFactory(content=b"picasso-echo\nraise TemporaryFailure")
    process(file.pk, slot)
    job = Job.objects.get()
    assert (job.state, job.attempts, job.error_code) == ("queued", 0, "temporary_failure")
    assert (job.not_before - job.started_at).total_seconds() == pytest.approx(10, abs=2)
    assert job.due_at == job.not_before


def test_a_missing_dependency_breaks_the_offer_and_the_job_waits(slot):
    file, job = end(b"picasso-echo\nraise MissingDependency", slot)
    assert (job.state, job.attempts) == ("waiting", 0)
    assert Offer.objects.get().error == "The echo file asked for it."
    assert file.status == "unsupported"


def test_one_file_does_not_take_a_processor_from_all_others(slot, zygote):
    samples = {plugin["name"]: plugin["samples"] for plugin in zygote.plugins}
    file, job = end(b"picasso-echo\nraise MissingDependency", replace(slot, samples=samples))
    assert (job.state, job.attempts, file.status) == ("queued", 1, "processing")
    assert Offer.objects.get().error == ""
    for _ in range(2):
        advance(10)
        process(file.pk, replace(slot, samples=samples))
    job.refresh_from_db()
    # It is not tried for ever: what the processor does lack would be found with its sample.
    assert (job.state, job.error_code, job.attempts) == ("failed", "missing_dependency", 3)
    assert job.error == "The echo file asked for it."
    other = FileFactory()
    process(other.pk, slot)
    assert File.objects.get(pk=other.pk).status == "processed"


def test_a_file_that_nobody_accepts_is_unsupported_and_kept(slot):
    OfferFactory(media_types=["image/png"])
    file = FileFactory()
    process(file.pk, slot)
    file = File.objects.get(pk=file.pk)
    assert (file.status, file.processed) == ("unsupported", False)
    assert default_storage.exists(file.file.name)


def test_a_file_larger_than_the_processor_wants_gets_no_job(slot):
    OfferFactory(limits={"max_bytes": 3})
    file = FileFactory()
    process(file.pk, slot)
    assert not Job.objects.exists()


def test_a_job_of_another_queue_is_left_to_that_queue(slot):
    OfferFactory()
    OfferFactory(processor="gpu", queue="gpu")
    file = FileFactory()
    assert process(file.pk, slot).elsewhere == {"gpu"}
    assert {job.processor: job.state for job in Job.objects.all()} == {"echo": "succeeded", "gpu": "queued"}
    assert File.objects.get().status == "processing"


def test_a_job_of_a_version_that_this_worker_does_not_have_is_left_alone(slot):
    OfferFactory(version="2")
    file = FileFactory()
    process(file.pk, slot)
    assert Job.objects.get().state == "queued"


def test_a_file_that_is_gone_is_nothing_to_do(slot):
    file = FileFactory()
    File.objects.all().delete()
    assert process(file.pk, slot) == Next()


def test_a_file_whose_bytes_are_gone_fails_with_a_sentence(slot):
    OfferFactory()
    file = FileFactory()
    default_storage.delete(file.file.name)
    for _ in range(3):
        process(file.pk, slot)
        now_startable(file)
    file = File.objects.get(pk=file.pk)
    assert (file.status, file.media_type) == ("unsupported", "application/octet-stream")
    assert "missing" in file.identified_by[0]["why"]


def test_a_worker_that_is_stopping_claims_nothing(slot):
    file = FileFactory()
    stopping = type(slot)(runner=slot.runner, queue=slot.queue, offered=slot.offered, stopping=lambda: True)
    process(file.pk, stopping)
    assert File.objects.get().lease_token is None


def test_a_run_that_is_stopped_gives_the_claim_back(slot):
    OfferFactory()
    file = FileFactory()
    slot.runner.stop()
    process(file.pk, slot)
    file = File.objects.get()
    assert (file.lease_token, file.attempts, file.losses, file.media_type) == (None, 0, 0, None)


def test_nothing_stays_in_the_scratch_directory(slot):
    end(b"picasso-echo\nhello\n", slot)
    assert sorted(path.name for path in slot.runner.folder.rglob("*")) == ["input", "log", "work"]
