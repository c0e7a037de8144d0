"""``manage.py processors``: what is installed here, and what is broken and why."""

from typing import Any

from django.core.management.base import BaseCommand

from ...sandbox.client import Zygote


class Command(BaseCommand):
    help = "List the processors installed in this environment. Exit status 1 if one is broken."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        zygote = Zygote()
        zygote.start()
        zygote.stop()
        for plugin in zygote.plugins:
            if plugin["error"]:
                self.stdout.write(f"{plugin['name']:<12} broken   {plugin['error']}")
                continue
            types = ", ".join(plugin["media_types"])
            self.stdout.write(
                f"{plugin['name']:<12} version {plugin['version']:<4} {plugin['distribution']:<20} {types}"
            )
        if not zygote.plugins:
            self.stdout.write("No processor is installed. Install one with pip.")
        if any(plugin["error"] for plugin in zygote.plugins):
            raise SystemExit(1)
