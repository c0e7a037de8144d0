"""What the documents say is true: their snippets are run, their links lead somewhere."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.elsewhere import Elsewhere
from tests.live import ROOT, Instance

DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("plugins/*/README.md")]
README = (ROOT / "README.md").read_text()


def snippets(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def shout(tmp_path) -> Path:
    """The plugin of the README, as its reader would write it."""
    folder = tmp_path / "shout"
    folder.mkdir()
    (folder / "shout.py").write_text(snippets("python")[0])
    (folder / "pyproject.toml").write_text(snippets("toml")[0])
    return folder


def test_the_processor_of_the_readme_is_twelve_lines_and_works_once_installed(shout, tmp_path):
    assert len([line for line in snippets("python")[0].splitlines() if line.strip()]) <= 12
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


def test_the_uploads_of_the_readme_work(instance):
    commands = [line.removeprefix("$ ") for line in README.splitlines() if line.startswith("$ curl")]
    assert len(commands) == 2
    for command in commands:
        command = command.replace("http://127.0.0.1:8000", instance.url)
        run = subprocess.run([*command.split(), "--silent", "--fail"], cwd=ROOT, capture_output=True, check=True)
        answer = json.loads(run.stdout)
    file = next(file for file in answer["results"] if file["name"] == "README.md")
    file = instance.ended(file)
    expected = json.loads(snippets("json")[0])
    jobs = [{key: job[key] for key in ("processor", "version", "state")} for job in file["jobs"]]
    assert {**{key: file[key] for key in expected}, "jobs": jobs} == expected


def test_every_path_of_the_interface_is_in_the_readme():
    from picasso_core.api.urls import urlpatterns

    paths = {
        re.sub(r"<(?:uuid:pk|\w+:(\w+))>", lambda match: "{%s}" % (match[1] or "id"), str(each.pattern))
        for each in urlpatterns
    }
    assert {path for path in paths if path and f"/{path}" not in README} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(document):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_make_help_lists_every_command_that_documents_name():
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = {name for document in DOCUMENTS for name in re.findall(r"`?make ([a-z]+)", document.read_text())}
    targets = {line.split()[1] for line in listed.splitlines() if line.strip().startswith("make ")}
    assert named & {"demo", "run", "test", "lint", "format", "processors", "lock", "help", "setup"} <= targets | {
        "help"
    }
    assert {"demo", "run", "test", "lint", "format", "processors", "worker", "setup", "help"} <= targets
