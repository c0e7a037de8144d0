"""The truth: files, jobs, artifacts, offers and beats. State changes are verbs here, each one conditional UPDATE."""

from .artifacts import Artifact
from .backfills import Backfill
from .beats import Beat, WorkerBeat
from .entries import Entry
from .events import Event, Follower, Position
from .files import File
from .jobs import Job
from .offers import Offer
from .switches import Switch
from .webhooks import Delivery, Webhook
from .work import Work

__all__ = [
    "Artifact", "Backfill", "Beat", "Delivery", "Entry", "Event", "File", "Follower", "Job", "Offer", "Position",
    "Switch", "Webhook", "Work", "WorkerBeat",
]  # fmt: skip
