"""The states of Files and Jobs: who may change them when, and what every lost race leaves behind."""

import uuid
from datetime import timedelta
from itertools import pairwise

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db.models.functions import Now

from picasso_core import sweeper
from picasso_core.models import Artifact, File, Job, Switch, Work
from picasso_core.models.work import MAX_LOSSES
from tests.clock import advance, expire, now_startable
from tests.factories import ECHO, FileFactory, JobFactory, OfferFactory
from tests.threads import at_once

pytestmark = pytest.mark.django_db

CLOSED = ["succeeded", "failed", "declined", "cancelled", "waiting"]
SETTLED = [
    ([], "unsupported"),
    (["queued"], "processing"),
    (["running"], "processing"),
    (["succeeded"], "processed"),
    (["failed"], "failed"),
    (["declined"], "unsupported"),
    (["cancelled"], "unsupported"),
    (["waiting"], "unsupported"),
    (["succeeded", "queued"], "processing"),
    (["failed", "running"], "processing"),
    (["succeeded", "succeeded"], "processed"),
    (["succeeded", "failed"], "partial"),
    (["succeeded", "declined"], "processed"),
    (["succeeded", "cancelled"], "processed"),
    (["succeeded", "waiting"], "processed"),
    (["failed", "failed"], "failed"),
    (["failed", "declined"], "failed"),
    (["failed", "waiting"], "failed"),
    (["succeeded", "failed", "declined", "cancelled", "waiting"], "partial"),
    (["succeeded", "failed", "waiting", "queued"], "processing"),
    (["backfill queued"], "unsupported"),
    (["backfill running"], "unsupported"),
    (["backfill succeeded"], "processed"),
    (["succeeded", "backfill queued"], "processed"),
    (["succeeded", "backfill running"], "processed"),
    (["succeeded", "backfill failed"], "partial"),
    (["failed", "backfill queued"], "failed"),
    (["failed", "backfill succeeded"], "partial"),
    (["queued", "backfill succeeded"], "processing"),
    (["declined", "backfill waiting"], "unsupported"),
]
ENDS = {
    "succeed": lambda job: job.succeed({"late": True}, ["late"], [artifact(job, "late.txt")]),
    "fail": lambda job: job.fail("late", "late", "late"),
    "decline": lambda job: job.decline("late"),
    "wait": lambda job: job.wait("late"),
    "postpone": lambda job: job.postpone("late"),
    "give_back": lambda job: job.give_back(),
    "give_back with a pause": lambda job: job.give_back(pause=timedelta(seconds=9)),
    "renew": lambda job: job.renew(),
}


def now(work: Work) -> Work:
    """Read the row again."""
    return type(work).objects.get(pk=work.pk)


def columns(work: Work) -> dict:
    """Return everything that is in the row."""
    return type(work).objects.values().get(pk=work.pk)


def claim(work: Work) -> Work:
    claimed = type(work).claim(work.pk)
    assert claimed is not None
    return claimed


def take_over(work: Work) -> Work:
    """Let the lease expire and claim the work as another worker."""
    expire(work)
    return claim(work)


def artifact(job: Job, name: str) -> Artifact:
    key = f"artifacts/{job.pk}/{job.lease_token}/{name}"
    return Artifact(job=job, name=name, media_type="text/plain", size=1, key=key)


def seconds(end, start) -> float:
    return (end - start).total_seconds()


@pytest.fixture(params=[FileFactory, JobFactory], ids=["file", "job"])
def work(request) -> Work:
    """Have work to do: a File to be identified, or a Job to be run."""
    return request.param()


# --- Claims -----------------------------------------------------------------------------------------------------------


def test_work_is_claimed_for_thirty_seconds_and_due_again_when_they_are_over(work):
    before = columns(work)
    claimed = claim(work)
    assert claimed.lease_token is not None
    assert 29 < seconds(claimed.lease_until, before["due_at"]) + 15 < 32
    assert claimed.due_at == claimed.lease_until
    assert (claimed.attempts, claimed.losses) == (0, 0)


def test_a_claimed_file_is_processing_and_still_without_a_type():
    file = claim(FileFactory())
    assert (file.status, file.media_type, file.processed) == ("processing", None, False)


def test_a_claimed_job_is_running_since_now():
    job = claim(JobFactory())
    assert job.state == "running"
    assert job.started_at >= job.queued_at


def test_work_that_somebody_holds_is_not_claimed(work):
    held = claim(work)
    assert type(work).claim(work.pk) is None
    assert columns(work)["lease_token"] == held.lease_token


def test_work_is_not_claimed_before_its_pause_is_over(work):
    claim(work).give_back(pause=timedelta(seconds=60))
    assert type(work).claim(work.pk) is None
    advance(59)
    assert type(work).claim(work.pk) is None
    advance(2)
    assert claim(work).losses == 0


def test_an_expired_lease_is_taken_over_and_counted_as_a_loss(work):
    first = claim(work)
    second = take_over(work)
    assert second.lease_token != first.lease_token
    assert (second.losses, second.attempts) == (1, 0)


def test_a_lease_expires_after_thirty_seconds_and_not_before(work):
    claim(work)
    advance(28)
    assert type(work).claim(work.pk) is None
    advance(3)
    assert claim(work).losses == 1


def test_what_is_given_back_is_no_loss(work):
    claim(work).give_back()
    assert claim(work).losses == 0


def test_five_losses_are_allowed_and_no_sixth(work):
    claim(work)
    for lost in range(1, MAX_LOSSES + 1):
        assert take_over(work).losses == lost
    expire(work)
    assert type(work).claim(work.pk) is None


def test_work_of_no_row_is_not_claimed(work):
    type(work).objects.all().delete()
    assert type(work).claim(work.pk) is None


@pytest.mark.parametrize("state", CLOSED)
def test_a_job_that_is_not_open_is_neither_claimed_nor_due(state):
    job = JobFactory(state=state)
    assert Job.claim(job.pk) is None
    assert not Job.due(job.file_id)


def test_an_identified_file_is_not_claimed():
    assert File.claim(FileFactory(media_type=ECHO).pk) is None


def test_due_are_the_jobs_of_a_file_that_could_be_claimed():
    file = FileFactory(media_type=ECHO)
    free, held, lost, paused = (JobFactory(file=file, processor=name) for name in ("free", "held", "lost", "paused"))
    JobFactory()
    claim(held)
    expire(claim(lost))
    claim(paused).give_back(pause=timedelta(seconds=60))
    assert {processor for _, _, processor, *_ in Job.due(file.pk)} == {"free", "lost"}
    assert all(Job.claim(job.pk) for job in (free, lost))


# --- Renewal ----------------------------------------------------------------------------------------------------------


def test_a_renewal_holds_the_claim_for_another_thirty_seconds(work):
    held = claim(work)
    advance(20)
    assert held.renew()
    advance(20)
    assert type(work).claim(work.pk) is None
    assert now(work).due_at == now(work).lease_until


def test_a_late_renewal_holds_the_claim_if_nobody_has_taken_it_yet(work):
    held = claim(work)
    expire(work)
    assert held.renew()
    assert type(work).claim(work.pk) is None
    assert now(work).losses == 0


def test_a_renewal_after_the_claim_was_taken_over_changes_nothing(work):
    late = claim(work)
    take_over(work)
    before = columns(work)
    assert not late.renew()
    assert columns(work) == before


def test_a_renewal_after_the_end_changes_nothing():
    job = claim(JobFactory())
    job.decline("no")
    before = columns(job)
    assert not job.renew()
    assert columns(job) == before


# --- Late ends --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_worker_that_lost_its_claim_to_another_changes_nothing(end):
    late = claim(JobFactory())
    take_over(late)
    before = columns(late), columns(late.file)
    assert end(late) is False
    assert (columns(late), columns(late.file)) == before
    assert not Artifact.objects.exists()


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_worker_that_comes_after_anothers_success_changes_nothing(end):
    late = claim(JobFactory())
    winner = take_over(late)
    assert winner.succeed({"won": True}, [], [artifact(winner, "won.txt")])
    before = columns(late), columns(late.file)
    assert end(late) is False
    assert (columns(late), columns(late.file)) == before
    assert Artifact.objects.get().name == "won.txt"


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_worker_ends_its_run_only_once(end):
    job = claim(JobFactory())
    assert job.fail("invalid_file", "It is broken.")
    before = columns(job), columns(job.file)
    assert end(job) is False
    assert (columns(job), columns(job.file)) == before


@pytest.mark.parametrize("state", ["queued", "succeeded"])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_who_never_claimed_a_job_ends_nothing(end, state):
    job = now(JobFactory(state=state))
    with File.locked(job.file_id):
        pass
    before = columns(job), columns(job.file)
    assert end(job) is False
    assert (columns(job), columns(job.file)) == before


def test_a_late_worker_counts_no_attempt():
    late = claim(JobFactory())
    take_over(late)
    before = columns(late)
    late.try_again()
    assert columns(late) == before


def test_a_worker_that_lost_the_identification_to_another_changes_nothing():
    late = claim(FileFactory())
    take_over(late)
    before = columns(late)
    assert late.identified("text/late", [], [OfferFactory()]) is False
    assert late.give_back() is False
    late.try_again()
    assert columns(late) == before
    assert not Job.objects.exists()


# --- Ends -------------------------------------------------------------------------------------------------------------


def test_success_keeps_the_result_and_its_artifacts():
    job = claim(JobFactory())
    assert job.succeed({"a": 1}, ["Page 3 is broken."], [artifact(job, "a"), artifact(job, "b")])
    job = now(job)
    assert (job.state, job.data, job.warnings, job.error_code) == ("succeeded", {"a": 1}, ["Page 3 is broken."], "")
    assert [each.name for each in job.artifacts.all()] == ["a", "b"]
    assert (now(job.file).status, now(job.file).processed) == ("processed", True)


def test_success_replaces_the_artifacts_of_an_earlier_one():
    job = claim(JobFactory())
    job.succeed({"run": 1}, ["old"], [artifact(job, "both"), artifact(job, "gone")])
    assert Job.objects.run_again(job)
    again = claim(job)
    assert again.succeed({"run": 2}, [], [artifact(again, "both"), artifact(again, "new")])
    assert (now(job).data, now(job).warnings) == ({"run": 2}, [])
    assert {each.name for each in job.artifacts.all()} == {"both", "new"}
    assert all(str(again.lease_token) in each.key for each in job.artifacts.all())


def test_success_clears_what_an_earlier_failure_said():
    job = claim(JobFactory())
    job.postpone("The network is down.")
    now_startable(job)
    claim(job).succeed({}, [], [])
    assert (now(job).error_code, now(job).error, now(job).detail) == ("", "", "")


@pytest.mark.parametrize(
    ("end", "state", "code"),
    [
        (lambda job: job.succeed({}, [], []), "succeeded", ""),
        (lambda job: job.fail("crashed", "It crashed.", "SIGSEGV"), "failed", "crashed"),
        (lambda job: job.decline("Not mine."), "declined", "declined"),
        (lambda job: job.wait("No tesseract."), "waiting", "missing_dependency"),
    ],
    ids=["succeed", "fail", "decline", "wait"],
)
def test_an_end_lets_go_of_the_claim_and_is_never_due_again(end, state, code):
    job = claim(JobFactory())
    assert end(job) is True
    job = now(job)
    assert (job.state, job.error_code) == (state, code)
    assert (job.lease_token, job.lease_until, job.due_at, job.not_before) == (None, None, None, None)
    assert (job.finished_at is None) == (state == "waiting")
    assert (job.attempts, job.losses) == (0, 0)


def test_attempts_and_losses_are_counted_apart():
    job = claim(JobFactory())
    job = take_over(job)
    assert job.try_again()
    now_startable(job)
    job = take_over(claim(job))
    assert (job.attempts, job.losses) == (1, 2)


def test_the_third_attempt_is_the_last_and_the_pause_between_them_grows(work):
    pauses = []
    for attempts in (1, 2):
        held = claim(work)
        assert held.try_again()
        work = now(work)
        assert (work.attempts, work.losses, work.lease_token) == (attempts, 0, None)
        pauses.append(seconds(work.not_before, held.lease_until) + 30)
        assert work.due_at == work.not_before
        now_startable(work)
    assert pauses == [pytest.approx(2, abs=0.5), pytest.approx(4, abs=0.5)]
    held = claim(work)
    before = columns(work)
    assert not held.try_again()
    assert columns(work) == before


def test_giving_back_counts_nothing_and_is_due_at_once(work):
    held = claim(work)
    assert held.give_back()
    work = now(work)
    assert (work.attempts, work.losses, work.lease_token, work.lease_until) == (0, 0, None, None)
    assert work.not_before is None
    assert work.due_at < held.lease_until - timedelta(seconds=25)
    assert claim(work)


@pytest.mark.parametrize("backlog", [0, 11, 10**6])
def test_the_first_temporary_failure_pauses_for_ten_seconds_however_long_the_job_was_queued(backlog):
    job = JobFactory()
    advance(backlog)
    job = claim(job)
    assert job.postpone("The network is down.")
    after = now(job)
    assert seconds(after.not_before, job.started_at) == pytest.approx(10, abs=0.9)
    assert (after.state, after.attempts, after.losses) == ("queued", 0, 0)
    assert (after.error_code, after.error) == ("temporary_failure", "The network is down.")
    assert after.due_at == after.not_before
    assert now(after.file).status == "processing"


def test_the_pauses_of_a_failure_that_does_not_end_double_up_to_a_day():
    job, pauses = JobFactory(), []
    for _ in range(18):
        held = claim(job)
        held.postpone("The network is down.")
        pauses.append(seconds(now(job).not_before, held.started_at))
        advance(pauses[-1] + 0.1)
    assert pauses[0] == pytest.approx(10, abs=1)
    assert all(2 * early == pytest.approx(late, rel=0.1) for early, late in pairwise(pauses[1:14]))
    assert pauses[-1] == pytest.approx(86_400, abs=1)


# --- A person's verbs -------------------------------------------------------------------------------------------------


def test_a_retry_queues_the_failed_jobs_again_as_new():
    job = JobFactory()
    held = claim(job)
    held.fail("crashed", "It crashed.", "Traceback", attempts=3)
    assert now(job.file).status == "failed"
    assert Job.objects.retry(job.file_id) == {"picasso.v1"}
    job = now(job)
    assert (job.state, job.attempts, job.losses, job.error_code, job.error, job.detail) == ("queued", 0, 0, "", "", "")
    assert (job.started_at, job.finished_at) == (None, None)
    assert now(job.file).status == "processing"
    assert claim(job)


def test_a_retry_leaves_what_did_not_fail_alone():
    job = claim(JobFactory())
    job.succeed({}, [], [])
    assert Job.objects.retry(job.file_id) == set()
    assert now(job).state == "succeeded"


def test_a_file_is_removed_with_its_jobs_its_artifacts_and_all_their_bytes(folders):
    job = claim(JobFactory())
    key = default_storage.save("artifacts/a", ContentFile(b"a"))
    job.succeed({}, [], [Artifact(job=job, name="a", media_type="text/plain", size=1, key=key)])
    assert File.remove(job.file_id)
    assert not File.objects.exists()
    assert not Job.objects.exists()
    assert [path for path in (folders / "storage").rglob("*") if path.is_file()] == []
    assert not File.remove(job.file_id)


def test_a_file_can_be_removed_while_its_job_runs_whose_end_then_changes_nothing():
    job = claim(JobFactory())
    assert File.remove(job.file_id)
    assert not job.renew()
    assert not job.succeed({}, [], [])
    assert not Job.objects.exists()


# --- Identification ---------------------------------------------------------------------------------------------------


def test_identification_makes_a_job_for_each_offer_and_is_never_due_again():
    file = claim(FileFactory())
    offers = [OfferFactory(), OfferFactory(processor="gpu", version="7", queue="gpu", distribution="gpu 1.0")]
    assert file.identified(ECHO, [{"by": "echo"}], offers)
    file = now(file)
    assert (file.media_type, file.identified_by, file.status) == (ECHO, [{"by": "echo"}], "processing")
    assert (file.lease_token, file.lease_until, file.due_at, file.not_before) == (None, None, None, None)
    made = set(file.jobs.values_list("processor", "version", "queue", "distribution", "lane", "state"))
    assert made == {
        ("echo", "1", "picasso.v1", "picasso-echo 0.1.0", "interactive", "queued"),
        ("gpu", "7", "gpu", "gpu 1.0", "interactive", "queued"),
    }
    assert all(seconds(job.due_at, job.queued_at) == pytest.approx(15, abs=0.5) for job in file.jobs.all())


def test_identifying_twice_makes_no_second_jobs():
    file, offers = claim(FileFactory()), [OfferFactory()]
    assert file.identified(ECHO, [], offers)
    before = columns(file)
    assert not file.identified("text/other", [], [*offers, OfferFactory(processor="other")])
    assert columns(file) == before
    assert Job.objects.count() == 1


def test_a_job_that_is_there_already_is_left_as_it_is():
    job = claim(JobFactory())
    before = columns(job)
    with File.locked(job.file_id) as file:
        Job.objects.add(file, [OfferFactory(), OfferFactory(processor="other")])
    assert columns(job) == before
    assert Job.objects.count() == 2


def test_a_job_for_a_broken_offer_waits_and_does_not_hold_the_file_up():
    file = claim(FileFactory())
    file.identified(ECHO, [], [OfferFactory(error="No tesseract."), OfferFactory(processor="fine")])
    broken, fine = Job.objects.get(processor="echo"), Job.objects.get(processor="fine")
    assert (broken.state, broken.due_at, broken.lease_token) == ("waiting", None, None)
    assert fine.due_at is not None
    assert now(file).status == "processing"
    claim(fine).succeed({}, [], [])
    assert now(file).status == "processed"


def test_a_file_that_nobody_accepts_settles_at_once():
    file = claim(FileFactory())
    file.identified("video/x-unheard", [], [])
    assert (now(file).status, now(file).processed) == ("unsupported", False)


def test_a_file_given_back_before_it_is_identified_stays_processing():
    file = claim(FileFactory())
    file.give_back()
    assert now(file).status == "processing"


# --- The status of a File ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("jobs", "status"), SETTLED, ids=[" + ".join(jobs) or "none" for jobs, _ in SETTLED])
def test_the_status_is_what_the_jobs_amount_to(jobs, status):
    file = FileFactory(media_type=ECHO)
    for number, described in enumerate(jobs):
        *lane, state = described.split()
        JobFactory(file=file, processor=str(number), state=state, lane=lane[0] if lane else "interactive")
    with File.locked(file.pk):
        pass
    assert (now(file).status, now(file).processed) == (status, status in ("processed", "partial"))


def test_processed_never_turns_back():
    file = FileFactory(media_type=ECHO)
    first = claim(JobFactory(file=file))
    first.succeed({}, [], [])
    with File.locked(file.pk) as locked:
        Job.objects.add(locked, [OfferFactory(processor="other")])
    assert (now(file).status, now(file).processed) == ("processing", True)
    claim(Job.objects.get(processor="other")).fail("invalid_file", "It is broken.")
    assert (now(file).status, now(file).processed) == ("partial", True)
    first.delete()
    with File.locked(file.pk):
        pass
    assert (now(file).status, now(file).processed) == ("failed", True)


@pytest.mark.parametrize("end", ["fail", "decline"])
def test_a_new_version_takes_the_place_of_a_success_only_with_a_success(end):
    old = JobFactory()
    claim(old).succeed({"by": "1"}, [], [])
    for version, shown in (("2", old.pk), ("3", None)):
        with File.locked(old.file_id) as locked:
            Job.objects.add(locked, [OfferFactory(version=version)], lane="backfill")
        new = claim(Job.objects.get(version=version))
        assert Job.objects.get(current=True).pk == old.pk
        assert ENDS[end](new) if version == "2" else new.succeed({"by": "3"}, [], [])
        assert Job.objects.get(current=True).pk == (shown or new.pk)
        assert now(old.file).status == "processed"


def test_a_new_version_takes_the_place_of_a_failure_however_it_ends():
    old = JobFactory()
    claim(old).fail("invalid_file", "It is broken.")
    with File.locked(old.file_id) as locked:
        Job.objects.add(locked, [OfferFactory(version="2")], lane="backfill")
    claim(Job.objects.get(version="2")).decline("Not mine.")
    assert (Job.objects.get(current=True).version, now(old.file).status) == ("2", "unsupported")


@pytest.mark.parametrize("end", ["wait", "exclude"])
def test_what_has_come_to_no_end_takes_nobodys_place(end):
    old = JobFactory()
    claim(old).fail("invalid_file", "It is broken.")
    with File.locked(old.file_id) as locked:
        Job.objects.add(locked, [OfferFactory(version="2")], lane="backfill")
    new = claim(Job.objects.get(version="2"))
    assert new.wait("No tesseract.") if end == "wait" else new.exclude()
    assert (Job.objects.get(current=True).pk, now(old.file).status) == (old.pk, "failed")


def test_a_clock_that_is_behind_does_not_make_a_new_job_an_old_one(monkeypatch):
    old = JobFactory()
    claim(old).succeed({"by": "1"}, [], [])
    monkeypatch.setattr("picasso_core.models.work.uuid7", lambda: uuid.UUID(int=1))
    with File.locked(old.file_id) as locked:
        Job.objects.repeat(locked, [OfferFactory()])
    new = Job.objects.get(repeat=1)
    assert new.pk > old.pk
    assert claim(new).succeed({"by": "2"}, [], [])
    assert Job.objects.get(current=True).pk == new.pk


def test_a_pinned_version_keeps_its_place_when_a_newer_one_succeeds():
    old = JobFactory()
    claim(old).succeed({}, [], [])
    Switch.objects.create(processor="echo", pinned="1")
    with File.locked(old.file_id) as locked:
        Job.objects.add(locked, [OfferFactory(version="2")], lane="backfill")
    claim(Job.objects.get(version="2")).succeed({}, [], [])
    assert Job.objects.get(current=True).pk == old.pk


def test_a_backfill_does_not_disturb_a_settled_file():
    file = FileFactory(media_type=ECHO)
    claim(JobFactory(file=file)).succeed({}, [], [])
    with File.locked(file.pk) as locked:
        Job.objects.add(locked, [OfferFactory(processor="new")], lane="backfill")
    assert (now(file).status, now(file).processed) == ("processed", True)
    claim(Job.objects.get(processor="new"))
    assert (now(file).status, now(file).processed) == ("processed", True)


# --- Deletion ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_file_deleted_while_its_job_runs_leaves_nothing(end):
    job = claim(JobFactory())
    with File.locked(job.file_id):
        File.objects.all().delete()
    assert end(job) is False
    assert not File.objects.exists()
    assert not Job.objects.exists()
    assert not Artifact.objects.exists()


def test_a_file_deleted_while_it_is_identified_gets_no_jobs():
    file = claim(FileFactory())
    with File.locked(file.pk):
        File.objects.all().delete()
    assert file.renew() is False
    assert file.identified(ECHO, [], [OfferFactory()]) is False
    assert not Job.objects.exists()


def test_a_file_that_is_gone_is_locked_as_none():
    with File.locked(uuid.uuid4()) as file:
        assert file is None


def test_jobs_of_a_file_that_is_gone_are_neither_parked_nor_resumed():
    job, waiting = JobFactory(), JobFactory(state="waiting")
    File.objects.all().delete()
    job.park()
    waiting.resume(OfferFactory())
    assert not Job.objects.exists()


# --- Lost for good ----------------------------------------------------------------------------------------------------


def test_a_job_that_loses_its_sixth_worker_fails():
    job = claim(JobFactory())
    Job.objects.update(losses=MAX_LOSSES)
    sweeper.give_up_lost()
    assert now(job).state == "running"
    expire(job)
    sweeper.give_up_lost()
    job = now(job)
    assert (job.state, job.error_code, job.due_at) == ("failed", "worker_lost", None)
    assert "lost 6 times" in job.error
    assert now(job.file).status == "failed"


def test_a_file_whose_identification_loses_its_sixth_worker_has_an_unknown_type():
    OfferFactory(processor="any", media_types=["*/*"])
    file = claim(FileFactory())
    File.objects.update(losses=MAX_LOSSES)
    expire(file)
    sweeper.give_up_lost()
    file = now(file)
    assert (file.media_type, file.status, file.due_at) == ("application/octet-stream", "processing", None)
    assert "identification_failed" in file.identified_by[0]["why"]
    assert [job.processor for job in file.jobs.all()] == ["any"]


def test_work_whose_lease_expired_fewer_times_is_not_given_up(work):
    claim(work)
    File.objects.update(losses=MAX_LOSSES - 1)
    Job.objects.update(losses=MAX_LOSSES - 1)
    expire(work)
    before = columns(work)
    sweeper.give_up_lost()
    assert columns(work) == before


def test_a_worker_that_was_given_up_comes_too_late():
    late = claim(JobFactory())
    Job.objects.update(losses=MAX_LOSSES)
    expire(late)
    sweeper.give_up_lost()
    assert not late.succeed({}, [], [artifact(late, "late.txt")])
    assert now(late).error_code == "worker_lost"
    assert not Artifact.objects.exists()


# --- At the same moment -----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_eight_workers_that_claim_at_once_exactly_one_wins(work):
    claims = at_once(*[lambda: type(work).claim(work.pk)] * 8)
    won = [each for each in claims if each is not None]
    assert len(won) == 1
    assert now(work).lease_token == won[0].lease_token


@pytest.mark.django_db(transaction=True)
def test_of_eight_workers_that_take_over_at_once_exactly_one_wins_and_one_loss_is_counted(work):
    expire(claim(work))
    claims = at_once(*[lambda: type(work).claim(work.pk)] * 8)
    assert sum(each is not None for each in claims) == 1
    assert now(work).losses == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("second", "status"),
    [
        (lambda job: job.succeed({}, [], []), "processed"),
        (lambda job: job.fail("invalid_file", "It is broken."), "partial"),
        (lambda job: job.wait("No tesseract."), "processed"),
    ],
    ids=["succeed", "fail", "wait"],
)
def test_two_jobs_that_end_at_once_leave_the_right_status(second, status):
    for _ in range(20):
        file = FileFactory(media_type=ECHO, status="processing")
        one, two = (claim(JobFactory(file=file, processor=name)) for name in ("one", "two"))
        ended = at_once(lambda one=one: one.succeed({}, [], [artifact(one, "a")]), lambda two=two: second(two))
        assert ended == [True, True]
        assert (now(file).status, now(file).processed) == (status, True)


@pytest.mark.django_db(transaction=True)
def test_a_worker_and_its_successor_that_end_at_once_have_one_effect():
    for _ in range(20):
        late = claim(JobFactory())
        successor = take_over(late)
        ended = at_once(
            lambda late=late: late.succeed({}, [], [artifact(late, "a")]),
            lambda successor=successor: successor.succeed({}, [], [artifact(successor, "a")]),
        )
        assert ended == [False, True]
        assert str(successor.lease_token) in late.artifacts.get().key


@pytest.mark.django_db(transaction=True)
def test_a_success_that_races_with_a_deletion_leaves_nothing():
    def delete(pk):
        with File.locked(pk):
            File.objects.filter(pk=pk).delete()

    for _ in range(10):
        job = claim(JobFactory())
        at_once(
            lambda job=job: job.succeed({}, [], [artifact(job, "a")]),
            lambda job=job: delete(job.file_id),
        )
        assert not File.objects.exists()
        assert not Job.objects.exists()
        assert not Artifact.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_claim_that_races_with_parking_leaves_the_job_running_or_waiting():
    for _ in range(10):
        job = JobFactory(queued_at=Now() - timedelta(minutes=1))
        claimed, _ = at_once(lambda job=job: Job.claim(job.pk), job.park)
        after = now(job)
        assert (after.state, after.lease_token is None) == ("running" if claimed else "waiting", claimed is None)
