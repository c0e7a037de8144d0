"""What a web server serves: ``config.wsgi:application``."""

import multiprocessing
import os

from django.core.wsgi import get_wsgi_application

from picasso_core.processes import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Granian's workers do not notice that their parent was killed.
if parent := multiprocessing.parent_process():
    die_with_parent(parent.pid or 0)
application = get_wsgi_application()
