"""Every setting, from the environment alone; without any, Picasso runs on SQLite and a folder, open on 127.0.0.1.

``.env.example`` lists the variables with what each is for.
"""

import os
import secrets
from importlib.metadata import version
from pathlib import Path

import structlog

from picasso_core.patience import Connection
from picasso_core.processors import Bounds
from picasso_core.sandbox.limits import Ceilings

from .environment import Environment

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()

# Where everything lies that is not in a database or broker of its own.
DATA = Path(env.text("PICASSO_DATA", str(BASE_DIR / "data"))).resolve()
PRODUCTION = env.yes("PICASSO_PRODUCTION", default=False)
DEBUG = False

# --- Access ---------------------------------------------------------------------------------------------------------
# Bearer tokens, each good for everything; without any, Picasso is open to whoever reaches it.
PICASSO_TOKENS = env.names("PICASSO_TOKEN")
if PRODUCTION and not PICASSO_TOKENS:
    env.mistake("PICASSO_TOKEN is not set: production needs at least one, such as: openssl rand -hex 32")
if any(len(token) < 32 for token in PICASSO_TOKENS):
    env.mistake("PICASSO_TOKEN has fewer than 32 characters: make one that cannot be guessed: openssl rand -hex 32")


def _kept_secret_key() -> str:
    """Make a key once, outside production, and keep it in the data folder."""
    kept = DATA / "secret_key"
    if not kept.exists():
        kept.touch(mode=0o600)
        kept.write_text(secrets.token_urlsafe(50))
    return kept.read_text()


SECRET_KEY = env.text("PICASSO_SECRET_KEY")
if PRODUCTION and len(SECRET_KEY) < 50:
    env.mistake("PICASSO_SECRET_KEY is not set or has fewer than 50 characters: openssl rand -hex 32 makes one.")
try:
    # The database holds the secrets of webhooks.
    DATA.mkdir(mode=0o700, parents=True, exist_ok=True)
    SECRET_KEY = SECRET_KEY or (secrets.token_urlsafe(50) if PRODUCTION else _kept_secret_key())
except OSError as error:
    env.mistake(f"PICASSO_DATA is {DATA}, which is no folder that can be written to: {error.strerror}.")
    SECRET_KEY = secrets.token_urlsafe(50)
# This machine always, for the health checks.
ALLOWED_HOSTS = [*env.names("PICASSO_ALLOWED_HOSTS"), "127.0.0.1", "localhost", "[::1]"]

# How much one client may ask for, as (number, seconds); None is no limit.
PICASSO_UPLOAD_RATE = env.rate("PICASSO_UPLOAD_RATE")
PICASSO_REQUEST_RATE = env.rate("PICASSO_REQUEST_RATE")

# Behind a proxy that speaks HTTPS and says so in X-Forwarded-Proto.
HTTPS = env.yes("PICASSO_HTTPS", default=PRODUCTION)
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = ["^livez$", "^readyz$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
CSRF_COOKIE_SECURE = HTTPS
# What follows from HTTPS being off; the check says it once, as picasso.W002.
SILENCED_SYSTEM_CHECKS = [] if HTTPS else ["security.W004", "security.W008", "security.W016"]

# --- Application ----------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.postgres",  # for the field of the search
    "rest_framework",
    "drf_standardized_errors",
    "drf_spectacular",
    "picasso_core",
]
MIDDLEWARE = [
    "picasso_core.api.middleware.bounded",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Database -------------------------------------------------------------------------------------------------------
DATABASES = {"default": env.database("PICASSO_DATABASE_URL", f"sqlite:///{DATA}/picasso.sqlite3")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["CONN_MAX_AGE"] = None
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL",
    }
    # A file, since the tests' threads cannot share a database in memory; one for each run.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA / f"test-{os.getpid()}.sqlite3")}
else:
    pool = env.integer("PICASSO_DATABASE_POOL", default=40, at_least=1)
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 3,
        # What runs for each file is planned once a connection, not each time.
        "server_side_binding": True,
        "prepare_threshold": 3,
        "options": "-c statement_timeout=30000 -c lock_timeout=10000",
        "pool": {
            "connection_class": Connection,
            "min_size": 1,
            "max_size": pool,
            "timeout": 2,
            # Else the tries to connect grow as rare as the outage was long.
            "reconnect_timeout": 5,
        },
    }

# --- Storage --------------------------------------------------------------------------------------------------------
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": DATA / "storage"}},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# What rates are counted in; each web process has its own.
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 10_000}},
}
# Nobody but POST /upload/ takes files, and it reads the form itself.
FILE_UPLOAD_HANDLERS: list[str] = []
# Where workers hand files to the sandbox; on the storage's file system a file is linked, elsewhere it is copied.
PICASSO_SCRATCH = Path(env.text("PICASSO_SCRATCH", str(DATA / "scratch")))
# Bytes without a row are removed when they are this old: far longer than it takes from the last byte to the row.
PICASSO_ORPHAN_SECONDS = env.integer("PICASSO_ORPHAN_SECONDS", default=3600, at_least=60)
# What worker and sweeper touch as they go round, for a health check; each container has its own.
PICASSO_ALIVE_FILE = env.text("PICASSO_ALIVE_FILE")

# How the processes that parse uploaded bytes are confined, see docs/sandbox.md; off is for measuring coverage.
PICASSO_SANDBOX = env.choice(
    "PICASSO_SANDBOX", "require" if PRODUCTION else "best-effort", among=("require", "best-effort", "off")
)
if PRODUCTION and PICASSO_SANDBOX != "require":
    env.mistake(f"PICASSO_SANDBOX is {PICASSO_SANDBOX}: production needs require, or processors might see secrets.")
# What one run may use at the most; a processor may ask for less.
PICASSO_CEILINGS = Ceilings(
    seconds=env.integer("PICASSO_MAX_SECONDS", default=60, at_least=1),
    cpu_seconds=env.integer("PICASSO_MAX_CPU_SECONDS", default=30, at_least=1),
    memory=env.integer("PICASSO_MAX_MEMORY", default=768 * 1024**2, at_least=1024**2),
    output=env.integer("PICASSO_MAX_OUTPUT", default=256 * 1024**2, at_least=1),
    result=env.integer("PICASSO_MAX_RESULT", default=1024**2, at_least=1024),
    artifacts=env.integer("PICASSO_MAX_ARTIFACTS", default=100),
    silence=env.integer("PICASSO_MAX_SILENCE", default=60, at_least=1),
    bounds=Bounds(
        pixels=env.integer("PICASSO_MAX_PIXELS", default=50_000_000, at_least=1),
        pages=env.integer("PICASSO_MAX_PAGES", default=2_000, at_least=1),
    ),
    reuse=env.integer("PICASSO_SANDBOX_REUSE", default=500, at_least=1),
)

# --- Backfill ---------------------------------------------------------------------------------------------------------
# What a processor, or a version of it, that has never been seen means for the files that are there.
PICASSO_BACKFILL_NEW = env.choice("PICASSO_BACKFILL_NEW", "auto", among=("auto", "ask", "off"))
PICASSO_BACKFILL_UPGRADES = env.choice("PICASSO_BACKFILL_UPGRADES", "ask", among=("auto", "ask", "off"))

# --- Events -----------------------------------------------------------------------------------------------------------
# How long events and the deliveries of webhooks are kept; a delivery may be tried for two days.
PICASSO_EVENT_DAYS = env.integer("PICASSO_EVENT_DAYS", default=90, at_least=3)
# Webhooks may be sent to addresses of one's own network.
PICASSO_WEBHOOK_PRIVATE = env.yes("PICASSO_WEBHOOK_PRIVATE", default=False)

# --- Broker ---------------------------------------------------------------------------------------------------------
PICASSO_QUEUE = env.text("PICASSO_QUEUE", "picasso.v1")
CELERY_BROKER_URL = env.text("PICASSO_BROKER_URL")
PICASSO_BROKER_IS_AMQP = CELERY_BROKER_URL.startswith(("amqp://", "amqps://"))
if PICASSO_BROKER_IS_AMQP:
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = {"confirm_publish": True}
    CELERY_BROKER_HEARTBEAT = 10
else:
    if CELERY_BROKER_URL:
        env.mistake("PICASSO_BROKER_URL is no URL of RabbitMQ: write amqp://user:password@host:5672//")
    CELERY_BROKER_URL = "filesystem://localhost"
    CELERY_BROKER_TRANSPORT = "config.broker:Transport"
    CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_in": str(DATA / "broker"), "data_folder_out": str(DATA / "broker")}
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = PICASSO_QUEUE
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CONSUMER = "picasso_core.tasks:Listener"

# --- API ------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["picasso_core.api.authentication.BearerToken"],
    "DEFAULT_PERMISSION_CLASSES": ["picasso_core.api.authentication.HasTokenWhereNeeded"],
    "DEFAULT_THROTTLE_CLASSES": ["picasso_core.api.throttling.Rates"],
    # Without a proxy of ours in front, X-Forwarded-For says whatever the client likes.
    "NUM_PROXIES": 1 if HTTPS else 0,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "picasso_core.api.negotiation.AnythingAccepted",
    "DEFAULT_PAGINATION_CLASS": "picasso_core.api.pagination.Pages",
    "DEFAULT_SCHEMA_CLASS": "picasso_core.api.schema.Schema",
    "EXCEPTION_HANDLER": "drf_standardized_errors.handler.exception_handler",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "Picasso",
    "VERSION": version("picasso-core"),
    "DESCRIPTION": "Upload any file: it is kept, and every installed processor that understands it reports on it.",
    "LICENSE": {"name": "MIT", "identifier": "MIT"},
    "TAGS": [
        {"name": "files", "description": "Uploads and what was found in them."},
        {"name": "backfills", "description": "What is new, brought to the files that are there."},
        {"name": "events", "description": "What happens, to read in order and to be told of."},
        {"name": "service", "description": "The service itself."},
    ],
    "ENUM_NAME_OVERRIDES": {
        "FileStatus": "picasso_core.models.files.File.Status",
        "JobState": "picasso_core.models.jobs.Job.State",
        "BackfillCause": "picasso_core.models.backfills.Backfill.Cause",
        "BackfillKind": "picasso_core.models.backfills.Backfill.Kind",
        "BackfillState": "picasso_core.models.backfills.Backfill.State",
        "DeliveryState": "picasso_core.models.webhooks.Delivery.State",
        "EventKind": "picasso_core.models.events.Event.Kind",
        "ProcessorState": ["ready", "broken", "off", "absent", "arriving", "superseded"],
    },
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "picasso_core.api.schema.with_errors",
    ],
}
DRF_STANDARDIZED_ERRORS = {"EXCEPTION_HANDLER_CLASS": "picasso_core.api.errors.Handler"}
# Uploads stream to disk and have a limit of their own; this one is for JSON, which is read into memory.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
PICASSO_MAX_UPLOAD_BYTES = env.integer("PICASSO_MAX_UPLOAD_BYTES", default=2 * 1024**3, at_least=1)

# --- Logs -----------------------------------------------------------------------------------------------------------
# One line per event: JSON in production, for people elsewhere.
_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso"),
]
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_SHARED,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
_RENDERERS: list[structlog.typing.Processor] = [
    structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
]
if PRODUCTION:
    _RENDERERS = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": [*_SHARED, structlog.stdlib.ExtraAdder()],
            "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_RENDERERS],
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "filters": {
        "answers": {"()": "config.logs.AnswersWorthALine"},
        "not_again": {"()": "config.logs.NotAgain"},
    },
    "loggers": {
        "django.request": {"filters": ["answers"]},
        # picasso_core.api.errors says it without a traceback.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "psycopg.pool": {"filters": ["not_again"]},
        "picasso_core": {
            "level": env.choice(
                "PICASSO_LOG_LEVEL",
                "INFO" if PRODUCTION else "WARNING",
                among=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
            )
        },
    },
}

env.check()
