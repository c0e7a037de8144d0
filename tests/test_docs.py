"""What the papers say is true: each snippet is run or in one list with the reason why not, each link leads on."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from django.db.models.functions import Now

from picasso_core import bulk
from picasso_core.supervisor import free_port
from tests.elsewhere import Elsewhere
from tests.factories import JobFactory
from tests.live import ROOT, Instance
from tests.papers import PAPERS, in_paper, links, of_kind, snippets

# The one list of what no test here runs.
NOT_RUN_HERE = {
    "make audit": "asks a service in the network",
    "make bench": "takes two minutes, and RabbitMQ and PostgreSQL",
    "make build": "test_build.py builds and tries the same",
    "make chaos MINUTES=5 SEED=1": "takes minutes, and RabbitMQ and PostgreSQL of its own",
    "make coverage": "is the whole suite, of which this is a part",
    "make demo": "test_end_to_end.py runs manage.py demo",
    "make down": "needs Docker",
    "make format lint test": "writes to the files under test, and is the whole suite",
    "make fuzz MINUTES=5 SEED=1": "takes minutes; test_fuzz.py runs a short round",
    "make lint": "test_contract.py and test_architecture.py do most of it; CI does it all",
    "make lock": "asks the index of packages",
    "make processors": "installs first what is due; manage.py processors is run",
    "make run": "every live test is manage.py run",
    "make schema": "test_contract.py makes it and compares",
    "make setup": "is what these tests run in",
    "make test": "is the whole suite, of which this is a part",
    "make test-embedded": "is the whole suite, of which this is a part",
    'make test JOBS=0 ARGS="-x --pdb"': "is the whole suite, of which this is a part",
    "make up": "needs Docker",
    'make up PROCESSORS="image text"': "needs Docker",
    "createdb -h 127.0.0.1 -U postgres picasso": "needs PostgreSQL, where tests/services.py does the same",
    ".venv/bin/pip install ./shout": "installed elsewhere, by the test of that processor",
}
# test_backfill_live.py does what this page says, line by line.
WALKED = set(in_paper("docs/backfill.md", "command"))
LONG_RUNNING = ("manage.py web", "manage.py worker", "manage.py sweeper")
COMMANDS = of_kind("command")


def commands(*beginnings: str) -> list[str]:
    """Return the commands that begin so and are not in the list."""
    left = [each.text for each in COMMANDS if each.text not in NOT_RUN_HERE and each.text not in WALKED]
    return [command for command in left if command.startswith(beginnings)]


def test_every_snippet_is_run_or_in_the_list():
    run = {
        *WALKED,
        *commands("manage.py ", "curl ", "export PICASSO_", "PICASSO_", "make help"),
        *commands("openssl ", "set -a", "python -m "),
        *(snippet.text for kind in ("json", "python", "toml", "sh", "text") for snippet in of_kind(kind)),
    }
    assert [str(each) for each in snippets() if each.text not in run and each.text not in NOT_RUN_HERE] == []
    assert set(NOT_RUN_HERE) - {each.text for each in COMMANDS} == set(), "no paper has it any more"


# --- Commands --------------------------------------------------------------------------------------------------------


def only(environment: dict[str, str]) -> dict[str, str]:
    """Return an environment with no other settings than these."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PICASSO_")} | environment


def run(*command: str, status: int = 0, **environment: str) -> str:
    done = subprocess.run(command, env=only(environment), cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def manage(command: str, **environment: str) -> str:
    return run(sys.executable, *shlex.split(command), **environment)


@pytest.fixture(scope="module")
def production(tmp_path_factory) -> dict[str, str]:
    """Have the environment of the operations' page, with secrets made as it says and on a folder of this machine."""
    (block,) = in_paper("docs/operations.md", "sh")
    environment = {}
    for line in block.splitlines():
        assignment, _, advice = line.partition(" #")
        name, _, value = assignment.strip().partition("=")
        environment[name] = run(*advice.split()).strip() if value == "..." else value.replace("...", "secret")
    return {**environment, "PICASSO_DATA": str(tmp_path_factory.mktemp("production"))}


@pytest.fixture(scope="module")
def embedded(production) -> dict[str, str]:
    """Have the same without the two services, with a migrated database."""
    left = ("PICASSO_DATABASE_URL", "PICASSO_BROKER_URL")
    environment = {name: value for name, value in production.items() if name not in left}
    manage("manage.py migrate", **environment)
    return environment


def test_the_settings_of_the_papers_are_good(production):
    assert "no issues" in manage("manage.py check --deploy --fail-level WARNING", **production)
    assignments = [each.removeprefix("export ").partition("=") for each in commands("export PICASSO_", "PICASSO_")]
    assert len(assignments) >= 2
    while assignments:
        # Together as far as no name comes twice.
        together = {name: value for name, _, value in assignments}
        assert "no issues" in manage("manage.py check", **{**production, **together})
        assignments = [each for each in assignments if together[each[0]] != each[2]]


def test_a_file_of_settings_is_loaded_as_the_papers_say(tmp_path):
    (load,) = commands("set -a")
    (tmp_path / ".env").write_text((ROOT / ".env.example").read_text().replace("#PICASSO_TOKEN=", "PICASSO_TOKEN=x1"))
    loaded = subprocess.run(["sh", "-c", f"{load}; env"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "PICASSO_TOKEN=x1" in loaded.stdout.splitlines()


def test_the_commands_of_the_papers_that_end_work(embedded):
    for command in commands("manage.py "):
        # Without a worker the doctor is not content; test_doctor.py runs it on a whole instance.
        if command.startswith((*LONG_RUNNING, "manage.py doctor")):
            continue
        if command.startswith("manage.py processors --"):
            said = run(sys.executable, *command.split(), status=1, **embedded)
            assert said == "CommandError: No worker has ever had a processor 'NAME'.\n"
        else:
            manage(command, **embedded)
    for command in commands("python -m "):
        run(sys.executable, *command.split()[1:])
    for command in commands("openssl "):
        assert len(run(*command.split()).strip()) >= 32


def test_the_processes_of_the_papers_run_until_they_are_told_to_end(embedded):
    port, token = free_port(), embedded["PICASSO_TOKEN"]
    environment = only(embedded)
    processes = [
        subprocess.Popen([sys.executable, *command.replace("8000", str(port)).split()], cwd=ROOT, env=environment)
        for command in commands(*LONG_RUNNING)
    ]
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-Proto": "https"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/processors/", headers=headers)
    try:
        queues: set[str] = set()
        deadline = time.monotonic() + 30
        while not queues >= {"picasso.v1", "gpu"}:
            assert time.monotonic() < deadline, queues
            time.sleep(0.1)
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    queues = {offer["queue"] for offer in json.load(answer)}
            except urllib.error.URLError:
                continue
        assert "wrong" not in manage("manage.py doctor", **embedded)
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        statuses = [process.wait(30) for process in processes]
    assert statuses == [0] * len(processes)


def test_make_has_every_target_that_the_papers_name():
    for command in [each.text for each in COMMANDS if each.text.startswith("make ")]:
        run("make", "--dry-run", *shlex.split(command)[1:])
    assert '--port 8123 --data "folder"' in run("make", "--dry-run", "run", "PORT=8123", "DATA=folder")


def test_make_help_lists_what_there_is():
    listed = run(*commands("make help")[0].split())
    assert {"demo", "run", "test", "lint", "format", "processors", "worker", "setup"} <= set(listed.split())


# --- Answers ---------------------------------------------------------------------------------------------------------


def test_the_uploads_of_the_readme_work(instance):
    for command in commands("curl "):
        # By a shell, which is what the reader's terminal is.
        command = command.replace("curl ", "curl --silent --show-error --fail ").replace(
            "http://127.0.0.1:8000", instance.url
        )
        assert json.loads(run("sh", "-c", command))
    answer = instance.get("/files/")
    file = instance.ended(next(file for file in answer["results"] if file["name"] == "README.md"))
    expected = json.loads(in_paper("README.md", "json")[0])
    jobs = [{key: job[key] for key in ("processor", "version", "state")} for job in file["jobs"]]
    assert {**{key: file[key] for key in expected}, "jobs": jobs} == expected


def test_the_error_of_the_readme_is_what_a_form_without_a_file_gets(instance):
    nothing = urllib.request.Request(f"{instance.url}/upload/", b"--x--\r\n")
    nothing.add_header("Content-Type", "multipart/form-data; boundary=x")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(nothing, timeout=10)
    with refused.value:
        answer = json.load(refused.value)
    shown = json.loads(in_paper("README.md", "json")[1])
    detail = answer["errors"][0]["detail"]
    assert shown["errors"][0]["detail"].removesuffix("...") == detail[: len("There is no file: ")].replace(". ", ": ")
    shown["errors"][0]["detail"] = detail
    assert answer == shown
    assert len(in_paper("README.md", "json")) == 2, "compare the new one with a real answer as well"
    papers = {"README.md", "docs/backfill.md", "docs/events.md", "docs/operations.md", "docs/search.md"}
    assert {each.paper for each in of_kind("json")} == papers


@pytest.mark.django_db
def test_what_is_left_of_a_retry_is_as_the_operations_page_shows_it(client, monkeypatch):
    monkeypatch.setattr(bulk, "SECONDS", 0)
    for _ in range(bulk.BATCH + 1):
        JobFactory(processor="pdf", state="failed", error_code="timeout", finished_at=Now())
    (shown,) = in_paper("docs/operations.md", "json")
    shown = json.loads(shown)
    asked = {"processor": "pdf", "error_code": "timeout", "failed_after": "2000-01-01T00:00:00Z"}
    answer = client.post("/jobs/retry/", asked, content_type="application/json").json()
    assert answer.keys() == shown.keys()
    told, shown = (re.sub("[0-9]", "0", json.dumps(each["next"])) for each in (answer, shown))
    assert told == shown


@pytest.fixture
def shout(tmp_path) -> Path:
    """The plugin of the README, as its reader would write it."""
    folder = tmp_path / "shout"
    folder.mkdir()
    (code,), (project,) = in_paper("README.md", "python"), in_paper("README.md", "toml")
    (folder / "shout.py").write_text(code)
    (folder / "pyproject.toml").write_text(project)
    assert [each.text for each in (*of_kind("python"), *of_kind("toml"))] == [code, project], "run the new one as well"
    assert tomllib.loads(project)["project"]["name"] == "picasso-shout"
    return folder


def test_the_processor_of_the_readme_is_twelve_lines_and_works_once_installed(shout, tmp_path):
    assert len([line for line in (shout / "shout.py").read_text().splitlines() if line.strip()]) <= 12
    elsewhere = Elsewhere(tmp_path / "venv")
    with Instance(tmp_path / "data", python=str(elsewhere.python)) as instance:
        with instance.running():
            before = instance.ended(instance.upload(b"hello\n", "hello.txt"))
            assert [job["processor"] for job in before["jobs"]] == ["text"]
        elsewhere.pip("install", "--no-deps", "--no-build-isolation", str(shout))
        with instance.running():
            during = instance.ended(instance.upload(b"hello\n", "hello.txt"))
            (job,) = [job for job in during["jobs"] if job["processor"] == "shout"]
            assert (job["state"], job["data"], job["distribution"]) == (
                "succeeded",
                {"shout": "HELLO\n"},
                "picasso-shout 0.1.0",
            )
            empty = instance.ended(instance.upload(b" \n \n", "spaces.txt"))
            assert empty["reason"] == "shout: There is nothing to shout."
        elsewhere.pip("uninstall", "--yes", "picasso-shout")
        with instance.running():
            old = instance.get(f"/files/{during['id']}/")
            assert [job["data"] for job in old["jobs"] if job["processor"] == "shout"] == [{"shout": "HELLO\n"}]


# --- Paths and links -------------------------------------------------------------------------------------------------


def test_every_path_of_the_interface_is_in_the_readme():
    from picasso_core.api.urls import urlpatterns

    readme = (ROOT / "README.md").read_text()
    paths = {
        re.sub(r"<(?:uuid:pk|\w+:(\w+))>", lambda match: "{%s}" % (match[1] or "id"), str(each.pattern))
        for each in urlpatterns
    }
    assert {path for path in paths if path and f"/{path}" not in readme} == set()


def test_the_parts_that_the_design_names_are_there():
    folder, missing = ROOT, []
    (tree,) = of_kind("text")
    for line in tree.text.splitlines():
        column = re.split(r"\s{2,}", line.strip())[0]
        names = [name for name in column.split() if name.endswith((".py", "/"))]
        parent = folder if line.startswith("    ") else ROOT
        missing += [name for name in names if not (parent / name).exists()]
        folder = ROOT / names[0] if parent is ROOT else folder
    assert missing == []


@pytest.mark.parametrize(
    "paper",
    [*PAPERS, ROOT / "CHANGELOG.md", *ROOT.glob("plugins/*/README.md")],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_links_lead_somewhere(paper):
    for link in links(paper):
        path, _, heading = link.partition("#")
        target = paper.parent / path if path else paper
        assert target.exists(), link
        if heading:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings], link
