"""What ``manage.py check`` says of this machine."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register

from .sandbox.confinement import Confinement


@register
def sandbox_is_enforced(**kwargs: Any) -> list[CheckMessage]:
    """Say what a worker on this machine could not enforce."""
    missing = Confinement.of(settings.PICASSO_SANDBOX).missing()
    hint = "docs/sandbox.md says what each part is for; with PICASSO_SANDBOX=require a worker does not start here."
    return [Warning(f"The sandbox is incomplete: {' '.join(missing)}", hint=hint, id="picasso.W001")] if missing else []
