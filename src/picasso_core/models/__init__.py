"""The truth: files, jobs, artifacts, offers and beats. State changes are verbs here, each one conditional UPDATE."""

from .beats import Beat
from .files import File
from .jobs import Artifact, Job
from .offers import Offer
from .work import Work

__all__ = ["Artifact", "Beat", "File", "Job", "Offer", "Work"]
