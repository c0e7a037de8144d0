"""Any order of claims, ends, losses, pauses, sweeps and deployments: the model here says what must come of each."""

import os
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, partial

import pytest
from django.db import transaction
from django.db.models import Count
from django.db.models.functions import Now
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from picasso_core import sweeper
from picasso_core.models import Artifact, File, Job, Offer, Work
from picasso_core.models.work import MAX_ATTEMPTS, MAX_LOSSES
from tests.clock import advance
from tests.factories import ECHO

EXAMPLES = int(os.environ.get("PICASSO_EXAMPLES", "200"))
PARTS = 4
"""So that the suite's processes share the work."""
QUEUE = "picasso.v1"
PROCESSORS = ("one", "two")
NAMES = ("file", *PROCESSORS)
VERSIONS = ("1", "2")
OPEN = ("queued", "running")
CLOSED = ("succeeded", "failed", "declined", "cancelled")
DAY = 86_400.0


@cache
def _statement(work: type[Work]) -> tuple[str, tuple]:
    rows = work.objects.order_by().annotate(now=Now(), **({"effects": Count("artifacts")} if work is Job else {}))
    return rows.query.sql_with_params()


def rows_of(work: type[Work]) -> list[Work]:
    """Read every row, with SQL that is made once: Django takes far longer to make it than SQLite to answer."""
    return list(work.objects.raw(*_statement(work)))


@dataclass(eq=False)
class Claim:
    """What a worker has in hand, rightly or not."""

    name: str
    work: Work
    age: float
    """How long it was queued."""
    postponed: bool
    """Whether a temporary failure is why it was."""


@dataclass
class Row:
    """What must be in one row."""

    state: str = "queued"
    version: str = "1"
    since: float = 0
    """When it was last queued."""
    postponed: bool = False
    holder: Claim | None = None
    lease: float = 0
    pause: float = 0
    due: float | None = None
    attempts: int = 0
    losses: int = 0
    effects: int = 0

    def end(self, state: str) -> None:
        self.state, self.holder, self.pause, self.due = state, None, 0, None

    def give_back(self, state: str, now: float, pause: float) -> None:
        self.state, self.holder, self.pause, self.due = state, None, now + pause if pause else 0, now + pause


@dataclass
class Model:
    """What must be in the database."""

    rows: dict[str, Row] = field(default_factory=dict)
    offers: dict[str, str | None] = field(default_factory=dict)
    """The version of each processor that is installed."""
    broken: set[tuple[str, str]] = field(default_factory=set)
    skipped: float = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def now(self) -> float:
        return self.skipped + time.monotonic() - self.started

    def holds(self, claim: Claim) -> bool:
        return self.rows[claim.name].holder is claim

    def lost(self, row: Row) -> bool:
        return row.holder is not None and row.lease < self.now

    def free(self, row: Row) -> bool:
        return row.state in OPEN and (row.holder is None or (self.lost(row) and row.losses < MAX_LOSSES))

    def runs(self, processor: str) -> str | None:
        """Return the version that can run now."""
        version = self.offers[processor]
        return version if version and (processor, version) not in self.broken else None

    def status(self) -> str:
        states = [self.rows[name].state for name in PROCESSORS if name in self.rows]
        if self.rows["file"].state in OPEN:
            return "queued" if self.rows["file"].state == "queued" else "processing"
        if any(state in OPEN for state in states):
            return "processing"
        good, bad = "succeeded" in states, "failed" in states
        return {(True, False): "processed", (True, True): "partial", (False, True): "failed"}.get(
            (good, bad), "unsupported"
        )

    def turning_points(self) -> list[float]:
        rows = self.rows.values()
        return [time for row in rows for time in (row.lease, row.pause, row.due or 0, row.since + 5)]


class Life(RuleBasedStateMachine):
    """One File with two Jobs, some workers that may be slow, late or dead, deployments, and a sweeper."""

    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.processed = False
        self.atomic = transaction.atomic()
        self.atomic.__enter__()

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.everything_comes_to_an_end()
        finally:
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)

    @initialize(identified=st.booleans())
    def upload(self, identified: bool) -> None:
        offers = [Offer(processor=name, version="1", queue=QUEUE, media_types=[ECHO]) for name in PROCESSORS]
        Offer.objects.bulk_create(offers)
        self.model.offers = dict.fromkeys(PROCESSORS, "1")
        self.file = File.objects.create(name="a", size=1, sha256="0" * 64, file="files/a")
        self.model.rows["file"] = Row(since=self.model.now, due=self.model.now + 15)
        self.ids = {"file": self.file.pk}
        if identified:
            self.end(self.message("file"), "succeeded")

    # --- Workers ------------------------------------------------------------------------------------------------------

    @rule(target=claims, name=st.sampled_from(NAMES))
    def message(self, name: str):
        """A message arrives, for the first time or again, and a worker claims what it is about."""
        row = self.model.rows.get(name)
        if row is None:
            return multiple()
        claimed = (File if name == "file" else Job).claim(self.ids[name])
        assert (claimed is not None) == (self.model.free(row) and row.pause < self.model.now)
        if claimed is None:
            return multiple()
        row.losses += row.holder is not None
        row.state, row.holder = "running", Claim(name, claimed, self.model.now - row.since, row.postponed)
        row.lease = row.due = self.model.now + 30
        return row.holder

    @rule(claim=claims)
    def renew(self, claim: Claim) -> None:
        held = self.model.holds(claim)
        assert claim.work.renew() is held
        if held:
            row = self.model.rows[claim.name]
            row.lease = row.due = self.model.now + 30

    @rule(claim=claims, pause=st.sampled_from([0.0, 5.0]))
    def give_back(self, claim: Claim, pause: float) -> None:
        held = self.model.holds(claim)
        assert claim.work.give_back(pause=timedelta(seconds=pause)) is held
        self._given_back(claim, held, pause)

    @rule(claim=claims)
    def the_sandbox_crashes(self, claim: Claim) -> None:
        held = self.model.holds(claim)
        if claim.work.try_again():
            assert claim.work.attempts + 1 < MAX_ATTEMPTS
            self.model.rows[claim.name].attempts += held
            self._given_back(claim, held, 2.0 ** (claim.work.attempts + 1))
        else:
            assert claim.work.attempts + 1 == MAX_ATTEMPTS
            self.end(claim, "failed")

    @rule(claim=claims)
    def the_world_fails(self, claim: Claim) -> None:
        if claim.name != "file":
            held = self.model.holds(claim)
            assert claim.work.postpone("The network is down.") is held
            self._given_back(claim, held, min(max(2 * claim.age, 10.0), DAY) if claim.postponed else 10.0)
            if held:
                row = self.model.rows[claim.name]
                row.since, row.postponed = self.model.now, True

    @rule(claim=claims)
    def a_dependency_is_missing(self, claim: Claim) -> None:
        if claim.name != "file":
            held = self.model.holds(claim)
            Offer.objects.break_down(claim.name, claim.work.version, QUEUE, "No tesseract.")
            self.model.broken.add((claim.name, claim.work.version))
            assert claim.work.wait("No tesseract.") is held
            if held:
                self.model.rows[claim.name].end("waiting")
                self.model.rows[claim.name].postponed = False

    @rule(claim=claims, state=st.sampled_from(["succeeded", "failed", "declined"]))
    def end(self, claim: Claim, state: str) -> None:
        held = self.model.holds(claim)
        if claim.name == "file":
            assert claim.work.identified(ECHO, [], Offer.objects.accepting(ECHO, 1)) is held
            if held:
                self._identified()
            return
        job = claim.work
        artifact = Artifact(job=job, name="a", media_type="text/plain", size=1, key=str(job.lease_token))
        act = {
            "succeeded": partial(job.succeed, {}, [], [artifact]),
            "failed": partial(job.fail, "crashed", "It crashed."),
            "declined": partial(job.decline, "Not mine."),
        }[state]
        assert act() is held
        if held:
            self.model.rows[claim.name].end(state)
            self.model.rows[claim.name].effects += state == "succeeded"

    @rule(target=claims, claim=claims)
    def identify_and_begin(self, claim: Claim):
        """Whoever identifies the File has its first Job in hand at once."""
        if claim.name != "file":
            return multiple()
        offers = Offer.objects.accepting(ECHO, 1)
        held = self.model.holds(claim)
        assert claim.work.identified(ECHO, [], offers, mine=lambda offer: True) is held
        if not held:
            return multiple()
        self._identified()
        begun = [due for due in claim.work.due if due.claimed]
        assert [due.processor for due in begun] == [name for name in PROCESSORS if self.model.runs(name)][:1]
        if not begun:
            return multiple()
        row = self.model.rows[begun[0].processor]
        row.state, row.holder = "running", Claim(begun[0].processor, begun[0].claimed, 0, False)
        row.lease = row.due = self.model.now + 30
        return row.holder

    @rule(claim=consumes(claims))
    def the_worker_crashes(self, claim: Claim) -> None:
        """It forgets its claim, which nobody gives back."""

    @rule(name=st.sampled_from(NAMES), times=st.integers(2, MAX_LOSSES + 1))
    def workers_crash_one_after_the_other(self, name: str, times: int) -> None:
        for _ in range(times):
            self.message(name)
            self.time_passes(31.0)

    @rule(name=st.sampled_from(NAMES))
    def the_sandbox_crashes_each_time(self, name: str) -> None:
        for _ in range(MAX_ATTEMPTS):
            self.time_passes(7.0)
            if isinstance(claim := self.message(name), Claim):
                self.the_sandbox_crashes(claim)

    def _given_back(self, claim: Claim, held: bool, pause: float) -> None:
        if held:
            state = "running" if claim.name == "file" else "queued"  # a File that was claimed once stays `processing`
            self.model.rows[claim.name].give_back(state, self.model.now, pause)

    def _identified(self) -> None:
        self.model.rows["file"].end("identified")
        for name, version in self.model.offers.items():
            if version:
                row = Row(version=version, since=self.model.now, due=self.model.now + 15)
                self.model.rows[name] = row
                if not self.model.runs(name):
                    row.end("waiting")

    # --- The world ----------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([3.0, 7.0, 16.0, 31.0, 3600.0, 2 * DAY]))
    def time_passes(self, seconds: float) -> None:
        while any(abs(point - self.model.now - seconds) < 1 for point in self.model.turning_points()):
            seconds += 2  # whether a lease ends now or in a millisecond is no question for a test
        advance(seconds)
        self.model.skipped += seconds

    @rule(processor=st.sampled_from(PROCESSORS), version=st.sampled_from(VERSIONS))
    def deploy(self, processor: str, version: str) -> None:
        self.uninstall(processor)
        fixed = {"distribution": processor, "media_types": [ECHO], "limits": {}, "error": ""}
        Offer.objects.announce(QUEUE, [{"name": processor, "version": version, **fixed}])
        self.model.offers[processor] = version
        self.model.broken.discard((processor, version))

    @rule(processor=st.sampled_from(PROCESSORS))
    def uninstall(self, processor: str) -> None:
        Offer.objects.filter(processor=processor).update(withdrawn=True)
        self.model.offers[processor] = None

    # --- People -------------------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(PROCESSORS))
    def somebody_cancels(self, name: str) -> None:
        if row := self.model.rows.get(name):
            unfinished = row.state in (*OPEN, "waiting")
            assert Job.objects.get(pk=self.ids[name]).cancel() is unfinished
            if unfinished:
                row.end("cancelled")

    @rule()
    def somebody_retries(self) -> None:
        failed = [self.model.rows[name] for name in PROCESSORS if name in self.model.rows]
        failed = [row for row in failed if row.state == "failed"]
        assert bool(Job.objects.retry(self.file.pk)) is bool(failed)
        for row in failed:
            row.state, row.postponed, row.attempts, row.losses = "queued", False, 0, 0
            row.since, row.due = self.model.now, self.model.now + 15

    # --- The sweeper --------------------------------------------------------------------------------------------------

    @rule()
    def sweep(self) -> None:
        self.time_passes(3)
        due = [row for row in self.model.rows.values() if row.due and row.due < self.model.now]
        assert sweeper.take_due(QUEUE, 10) == [self.file.pk] * bool(due)
        assert sweeper.take_due(QUEUE, 10) == []
        for row in due:
            row.due = self.model.now + 15

    @rule()
    def repair(self) -> None:
        sweeper.repair()
        for name, row in list(self.model.rows.items()):
            if row.state in OPEN and self.model.lost(row) and row.losses == MAX_LOSSES:
                if name == "file":
                    self._identified_as_unknown()
                else:
                    row.end("failed")
        for name in PROCESSORS:
            if row := self.model.rows.get(name):
                self._move(row, self.model.runs(name))

    def _identified_as_unknown(self) -> None:
        self.model.rows["file"].end("identified")  # of a type that no processor here accepts

    def _move(self, row: Row, version: str | None) -> None:
        if self.model.free(row) and row.version != version and row.since + 5 < self.model.now:
            row.losses += row.holder is not None
            row.end("waiting")
        if row.state == "waiting" and version:
            if row.version != version:
                row.attempts = row.losses = 0
            row.state, row.version, row.postponed = "queued", version, False
            row.since = row.due = self.model.now

    # --- What holds at any time ---------------------------------------------------------------------------------------

    @invariant()
    def the_rows_are_as_the_model_says(self) -> None:
        (file,) = rows_of(File)
        jobs = {job.processor: job for job in rows_of(Job)}
        self.ids = {"file": file.pk, **{name: job.pk for name, job in jobs.items()}}
        assert self.ids.keys() == self.model.rows.keys()
        for name, row in self.model.rows.items():
            self._is_as_expected(file if name == "file" else jobs[name], row)
        for name, job in jobs.items():
            row = self.model.rows[name]
            assert (job.state, job.version) == (row.state, row.version)
            assert job.effects == row.effects == (row.state == "succeeded")
        assert file.status == self.model.status()
        self.processed = self.processed or file.status in ("processed", "partial")
        assert file.processed == self.processed

    def _is_as_expected(self, work: Work, row: Row) -> None:
        assert (work.attempts, work.losses) == (row.attempts, row.losses)
        assert work.attempts < MAX_ATTEMPTS
        assert work.losses <= MAX_LOSSES
        assert work.lease_token == (row.holder.work.lease_token if row.holder else None)
        assert (work.lease_until is None) == (row.holder is None)
        assert (work.due_at is None) == (row.due is None) == (row.state not in OPEN)
        if row.due is not None:
            now = datetime.fromisoformat(f"{work.now}+00:00") if isinstance(work.now, str) else work.now
            assert (work.due_at - now).total_seconds() == pytest.approx(row.due - self.model.now, abs=1)

    def everything_comes_to_an_end(self) -> None:
        """However bad it was: with every processor back and workers that work, nothing stays behind."""
        for processor in PROCESSORS:
            self.deploy(processor, "9")
        for _ in range(4):
            file, jobs = File.objects.get(), list(Job.objects.all())
            if file.media_type and all(job.state in CLOSED for job in jobs):
                break
            advance(2 * DAY)
            sweeper.repair()
            for file_id in sweeper.take_due(QUEUE, 10):
                if claimed := File.claim(file_id):
                    claimed.identified(ECHO, [], Offer.objects.accepting(ECHO, 1))
                for job_id, _, _, version, *_ in Job.due(file_id):
                    if version == "9":  # a worker claims only what it offers
                        Job.claim(job_id).succeed({}, [], [])
        else:
            pytest.fail("Something is stuck.")
        assert file.status in ("processed", "partial", "failed", "unsupported")


@pytest.mark.django_db
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_happens_in_whatever_order_the_rows_are_right_and_nothing_is_stuck(part):
    profile = settings(
        max_examples=EXAMPLES // PARTS,
        stateful_step_count=20,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    life = type(f"Life{part}", (Life,), {})
    # The same examples at each run of CI, others at each run elsewhere; never the same in two parts.
    run_state_machine_as_test(seed(part)(life) if os.environ.get("CI") == "true" else life, settings=profile)
