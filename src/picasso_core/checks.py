"""What ``manage.py check`` says of this machine and how it is reached."""

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


@register(deploy=True)
def https_is_required(**kwargs: Any) -> list[CheckMessage]:
    """Say what it means that HTTPS is off."""
    if settings.SECURE_SSL_REDIRECT:
        return []
    sentence = "PICASSO_HTTPS is false: plain HTTP is answered, and tokens and files can be read on their way."
    hint = (
        "That is meant where something else sees to HTTPS, such as a proxy that sets no X-Forwarded-Proto, or where "
        "nobody else is on the network. With a proxy that sets it, say PICASSO_HTTPS=true."
    )
    return [Warning(sentence, hint=hint, id="picasso.W002")]
