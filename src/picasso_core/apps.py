"""The Django app."""

from django.apps import AppConfig


class PicassoConfig(AppConfig):
    """Picasso's models, API and commands."""

    name = "picasso_core"
    label = "picasso"
    verbose_name = "Picasso"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks."""
        from . import checks  # noqa: F401
