"""The truth: files, jobs, artifacts and offers. State changes are verbs here, each one conditional UPDATE."""

from .files import File
from .jobs import Artifact, Job
from .offers import Offer
from .work import Work

__all__ = ["Artifact", "File", "Job", "Offer", "Work"]
