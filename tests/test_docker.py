"""What can be known of the images and of compose.yaml without an engine."""

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from picasso_core.supervisor import free_port
from tests.live import ROOT, Instance

DOCKERFILE = (ROOT / "docker/Dockerfile").read_text().replace("\\\n", "")
COMPOSE_TEXT = (ROOT / "docker/compose.yaml").read_text()
SERVICES = YAML(typ="safe").load(COMPOSE_TEXT)["services"]
SETTINGS = set(re.findall(r'env\.\w+\(\s*"(PICASSO_\w+)"', (ROOT / "config/settings.py").read_text()))
OF_PICASSO = {"web", "worker", "sweeper", "migrate"}


def stages() -> dict[str, list[str]]:
    """The instructions of each stage, the first of which says what it comes from."""
    found: dict[str, list[str]] = {}
    for line in DOCKERFILE.splitlines():
        if line.startswith("FROM "):
            found[line.split()[-1]] = instructions = [line]
        elif line and not line.startswith("#"):
            instructions.append(line)
    return found


def health_check(stage: str) -> list[str]:
    (line,) = [line for line in stages()[stage] if line.startswith("HEALTHCHECK ")]
    command: list[str] = json.loads(line.partition(" CMD ")[2])
    return command


def names(dependencies: list[str]) -> set[str]:
    return {re.split(r"[^\w-]", each)[0] for each in dependencies}


def test_whatever_the_dockerfile_copies_is_there_and_not_ignored():
    copied = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if re.match("COPY (?!--from)", line)]
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    sources = [Path(source) for line in copied for source in line]
    assert sources
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert {source.parts[0] for source in sources} == set(allowed)


def test_every_image_is_pinned_by_version():
    bases = [instructions[0].split()[1] for instructions in stages().values()]
    used = [service["image"] for service in SERVICES.values() if "build" not in service]
    assert [image for image in bases + used if image not in stages() and not re.search(r":\d+\.\d+", image)] == []


def test_nothing_runs_as_root_or_comes_with_an_installer():
    for target in ("web", "worker"):
        assert stages()[target][0].split()[1] == "runtime"
    assert "USER 10001:10001" in stages()["runtime"]
    assert "pip uninstall" in "\n".join(stages()["runtime"])
    assert {SERVICES["postgres"]["user"], SERVICES["rabbitmq"]["user"]} == {"postgres", "rabbitmq"}


def test_the_web_image_has_no_plugin_and_no_parser():
    assert "COPY --from=web-venv /venv /venv" in stages()["web"]
    (install,) = [line for line in stages()["web-venv"] if line.startswith("RUN ")]
    assert re.findall(r"picasso-[\w\[\]]+", install) == ["picasso-core[server]"]
    core = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = names(core["dependencies"]) | names(core["optional-dependencies"]["server"])
    for path in ROOT.glob("plugins/*/pyproject.toml"):
        plugin = tomllib.loads(path.read_text())["project"]
        assert needed & names(plugin["dependencies"]) == set(), path


def test_the_worker_has_every_plugin_unless_told_otherwise():
    everything = {path.parent.name.removeprefix("picasso-") for path in ROOT.glob("plugins/*/pyproject.toml")}
    for text in ("\n".join(stages()["worker-venv"]), COMPOSE_TEXT):
        (chosen,) = re.findall(r' PROCESSORS(?:="|: \$\{PROCESSORS:-)([\w ]+)', text)
        assert set(chosen.split()) == everything


def test_only_settings_that_exist_are_set():
    in_images = re.findall(r"(PICASSO_\w+)=", DOCKERFILE)
    in_services = {name for service in OF_PICASSO for name in SERVICES[service]["environment"]}
    assert {*in_images, *in_services} - SETTINGS == set()
    assert {"PICASSO_PRODUCTION", "PICASSO_SECRET_KEY", "PICASSO_TOKEN", "PICASSO_DATABASE_URL"} <= in_services


def test_make_up_makes_every_secret_that_is_required():
    made = set(re.findall(r'"((?:PICASSO|POSTGRES|RABBITMQ)_\w+)"', (ROOT / "Makefile").read_text()))
    assert made == set(re.findall(r"\$\{(\w+):\?", COMPOSE_TEXT))


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_confined_limited_and_watched(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["init"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["stop_grace_period"]
    assert any(entry.startswith("/tmp") for entry in service["tmpfs"])
    if name == "migrate":
        assert service["restart"] == "no"
    else:
        assert service["restart"] == "unless-stopped"
        assert "healthcheck" in service or health_check(service["build"]["target"])


def test_the_services_start_after_the_migration_and_after_what_they_need():
    for name in OF_PICASSO - {"migrate"}:
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert {"postgres", "rabbitmq"} <= set(SERVICES[name]["depends_on"])


def test_only_the_web_service_is_reached_from_outside_and_by_default_from_this_machine_alone():
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "web": ["${LISTEN:-127.0.0.1:8000}:8000"]
    }
    assert [name for name, service in SERVICES.items() if service["networks"] != ["backend"]] == ["web"]


def test_the_health_check_of_the_web_image_tells_a_live_server_from_none(instance):
    program = health_check("web")[2]
    for port, status in ((instance.url.rpartition(":")[2], 0), (str(free_port()), 1)):
        command = [sys.executable, "-c", program.replace("8000", port)]
        assert subprocess.run(command, stderr=subprocess.DEVNULL).returncode == status


def test_the_health_check_of_the_worker_image_wants_a_fresh_file(tmp_path):
    alive = tmp_path / "alive"

    def status() -> int:
        environment = {**os.environ, "PICASSO_ALIVE_FILE": str(alive)}
        return subprocess.run(health_check("worker"), env=environment, stderr=subprocess.DEVNULL).returncode

    assert status() == 1
    alive.touch()
    assert status() == 0
    os.utime(alive, (alive.stat().st_mtime - 90,) * 2)
    assert status() == 1


def test_worker_and_sweeper_show_that_they_go_round(tmp_path):
    alive = tmp_path / "alive"
    instance = Instance(tmp_path / "data", PICASSO_ALIVE_FILE=str(alive))

    def shown(seconds: float) -> bool:
        alive.unlink(missing_ok=True)
        try:
            return bool(instance.wait_until(alive.exists, seconds))
        except AssertionError:
            return False

    with instance.running():
        sweeper, worker = instance.pids("manage.py", "sweeper"), instance.pids("manage.py", "worker")
        for pid in worker:
            os.kill(pid, signal.SIGSTOP)
        assert shown(20)
        for pid in sweeper:
            os.kill(pid, signal.SIGSTOP)
        assert not shown(3)
        for pid in worker:
            os.kill(pid, signal.SIGCONT)
        try:
            assert shown(20)
        finally:
            for pid in sweeper:
                os.kill(pid, signal.SIGCONT)
