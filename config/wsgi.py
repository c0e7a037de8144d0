"""What a web server serves: ``config.wsgi:application``."""

import gc
import multiprocessing
import os
from typing import Any

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from multipart import parse_options_header

from picasso_core.processes import die_with_parent


class Request(WSGIRequest):
    """Is read as UTF-8 whatever charset the client claims: one like ``hex`` breaks Django before any view runs."""

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        self.content_type, self.content_params = parse_options_header(meta.get("CONTENT_TYPE", ""))


class Application(WSGIHandler):
    """Django's own, for such requests."""

    request_class = Request


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Granian's workers do not notice that their parent was killed.
if parent := multiprocessing.parent_process():
    die_with_parent(parent.pid or 0)
django.setup(set_prefix=False)
application = Application()
# What is there now stays: the collector need not look through it again and again.
gc.freeze()
