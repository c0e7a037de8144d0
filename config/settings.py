"""Every setting, from the environment alone; without any, Picasso runs on SQLite and a folder, open on 127.0.0.1."""

import secrets
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# Where everything lies that is not in a database or broker of its own.
DATA = Path(env.str("PICASSO_DATA", default=str(BASE_DIR / "data"))).resolve()
PRODUCTION = env.bool("PICASSO_PRODUCTION", default=False)
DEBUG = False


def _secret_key() -> str:
    """Take the key from the environment; outside production one is made and kept in the data folder."""
    if key := env.str("PICASSO_SECRET_KEY", default=""):
        return key
    if PRODUCTION:
        raise ImproperlyConfigured("PICASSO_SECRET_KEY is not set: give it 50 random characters, the same everywhere.")
    kept = DATA / "secret_key"
    if not kept.exists():
        DATA.mkdir(parents=True, exist_ok=True)
        kept.touch(mode=0o600)
        kept.write_text(secrets.token_urlsafe(50))
    return kept.read_text()


SECRET_KEY = _secret_key()
ALLOWED_HOSTS = env.list("PICASSO_ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "drf_standardized_errors",
    "picasso_core",
]
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Database -------------------------------------------------------------------------------------------------------
DATABASES = {"default": env.db_url("PICASSO_DATABASE_URL", default=f"sqlite:///{DATA}/picasso.sqlite3")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL",
    }
    DATABASES["default"]["CONN_MAX_AGE"] = None
else:
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 3,
        "options": "-c statement_timeout=30000 -c lock_timeout=10000",
        "pool": {"min_size": 1, "max_size": env.int("PICASSO_DATABASE_POOL", default=40), "timeout": 5},
    }

# --- Storage --------------------------------------------------------------------------------------------------------
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": DATA / "storage"}},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
FILE_UPLOAD_HANDLERS = ["picasso_core.uploads.StreamToStorage"]
# Where workers hand files to the sandbox; on the storage's file system a file is linked, elsewhere it is copied.
PICASSO_SCRATCH = Path(env.str("PICASSO_SCRATCH", default=str(DATA / "scratch")))

# --- Broker ---------------------------------------------------------------------------------------------------------
PICASSO_QUEUE = env.str("PICASSO_QUEUE", default="picasso.v1")
CELERY_BROKER_URL = env.str("PICASSO_BROKER_URL", default="")
PICASSO_BROKER_IS_AMQP = CELERY_BROKER_URL.startswith("amqp")
if PICASSO_BROKER_IS_AMQP:
    CELERY_BROKER_TRANSPORT_OPTIONS = {"confirm_publish": True}
    CELERY_BROKER_HEARTBEAT = 10
else:
    CELERY_BROKER_URL = CELERY_BROKER_URL or "filesystem://localhost"
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

# --- API ------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "picasso_core.api.pagination.NewestFirst",
    "EXCEPTION_HANDLER": "drf_standardized_errors.handler.exception_handler",
    "UNAUTHENTICATED_USER": None,
}
# Uploads stream to disk and have a limit of their own; this one is for the other fields of a form.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
PICASSO_MAX_UPLOAD_BYTES = env.int("PICASSO_MAX_UPLOAD_BYTES", default=2 * 1024**3)

# --- Logs -----------------------------------------------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("PICASSO_LOG_LEVEL", default="WARNING")},
}
DRF_STANDARDIZED_ERRORS = {"EXCEPTION_HANDLER_CLASS": "picasso_core.api.errors.Handler"}
