"""Settings come from the environment; each mistake is a sentence at the start."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.live import ROOT

GOOD = {
    "PICASSO_PRODUCTION": "true",
    "PICASSO_SECRET_KEY": "k" * 30 + "0123456789abcdefghijABCDEFGHIJ",
    "PICASSO_TOKEN": "t" * 32,
    "PICASSO_ALLOWED_HOSTS": "picasso.example",
}


def manage(*arguments: str, tmp_path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PICASSO_")}
    environment = {**inherited, "PICASSO_DATA": str(tmp_path / "data"), **environment}
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)


def test_production_settings_pass_djangos_checks_for_deployment(tmp_path):
    run = manage("check", "--deploy", "--fail-level", "WARNING", tmp_path=tmp_path, **GOOD)
    assert run.returncode == 0, run.stderr


def test_where_https_is_off_the_check_for_deployment_says_once_what_that_means(tmp_path):
    run = manage("check", "--deploy", tmp_path=tmp_path, **GOOD, PICASSO_HTTPS="false")
    assert "(picasso.W002) PICASSO_HTTPS is false" in run.stderr
    assert "security.W" not in run.stderr
    assert "PICASSO_HTTPS" not in manage("check", tmp_path=tmp_path, **GOOD, PICASSO_HTTPS="false").stderr


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PICASSO_SECRET_KEY", "", "PICASSO_SECRET_KEY is not set"),
        ("PICASSO_SECRET_KEY", "short", "fewer than 50 characters"),
        ("PICASSO_TOKEN", "", "PICASSO_TOKEN is not set"),
        ("PICASSO_TOKEN", "short", "PICASSO_TOKEN has fewer than 32 characters"),
        ("PICASSO_PRODUCTION", "yes", "PICASSO_PRODUCTION is 'yes': write true or false."),
        ("PICASSO_MAX_UPLOAD_BYTES", "2 GiB", "PICASSO_MAX_UPLOAD_BYTES is '2 GiB': write a whole number."),
        ("PICASSO_MAX_UPLOAD_BYTES", "0", "PICASSO_MAX_UPLOAD_BYTES is 0: it must be at least 1."),
        ("PICASSO_DATABASE_URL", "mysql://x/y", "PICASSO_DATABASE_URL is no URL of a SQLite or PostgreSQL database"),
        ("PICASSO_BROKER_URL", "redis://x", "PICASSO_BROKER_URL is no URL of RabbitMQ"),
        ("PICASSO_UPLOAD_RATE", "60", "PICASSO_UPLOAD_RATE is '60': write a rate such as 60/minute"),
        ("PICASSO_REQUEST_RATE", "0/day", "PICASSO_REQUEST_RATE is '0/day': write a rate such as 60/minute"),
        ("PICASSO_SANDBOX", "best-effort", "PICASSO_SANDBOX is best-effort: production needs require"),
        ("PICASSO_SANDBOX", "on", "PICASSO_SANDBOX is 'on': choose one of require, best-effort, off."),
        ("PICASSO_SANDBOX_REUSE", "0", "PICASSO_SANDBOX_REUSE is 0: it must be at least 1."),
        ("PICASSO_LOG_LEVEL", "loud", "PICASSO_LOG_LEVEL is 'loud': choose one of DEBUG, INFO"),
    ],
)
def test_a_mistake_stops_the_start_with_a_sentence_and_no_traceback(tmp_path, name, value, sentence):
    run = manage("check", tmp_path=tmp_path, **{**GOOD, name: value})
    assert run.returncode == 1
    assert sentence in run.stderr
    assert "Traceback" not in run.stderr


def test_all_mistakes_are_shown_at_once(tmp_path):
    run = manage("check", tmp_path=tmp_path, PICASSO_PRODUCTION="true", PICASSO_HTTPS="maybe")
    assert len(run.stderr.strip().splitlines()) == 4


def test_outside_production_the_secret_key_is_made_once_and_kept(tmp_path):
    program = "shell", "-v0", "-c", "from django.conf import settings; print(settings.SECRET_KEY)"
    first, second = (manage(*program, tmp_path=tmp_path).stdout for _ in range(2))
    assert first == second
    assert len(first) > 50
    assert (tmp_path / "data" / "secret_key").stat().st_mode & 0o777 == 0o600


def test_the_example_names_every_setting_and_no_other():
    read = set(re.findall(r'"(PICASSO_[A-Z_]+)"', (ROOT / "config" / "settings.py").read_text()))
    shown = set(re.findall(r"^#(PICASSO_[A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert shown == read


def test_web_refuses_to_be_open_to_the_network_without_a_token(tmp_path):
    run = manage("web", "--host", "0.0.0.0", tmp_path=tmp_path)
    assert run.returncode == 1
    assert "Listening on 0.0.0.0 would open Picasso to everybody" in run.stderr


def test_production_logs_one_json_object_per_event(tmp_path):
    program = "from structlog import get_logger; get_logger('picasso_core.x').info('uploaded', file='1', ms=2.5)"
    run = manage("shell", "-v0", "-c", program, tmp_path=tmp_path, **GOOD)
    (line,) = run.stderr.splitlines()
    assert json.loads(line) | {"timestamp": ""} == {
        "event": "uploaded", "file": "1", "ms": 2.5, "level": "info", "logger": "picasso_core.x", "timestamp": "",
    }  # fmt: skip


def test_outside_production_events_are_quiet(tmp_path):
    program = "from structlog import get_logger; get_logger('picasso_core.x').info('uploaded', file='1')"
    assert manage("shell", "-v0", "-c", program, tmp_path=tmp_path).stderr == ""
