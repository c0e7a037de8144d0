"""A plugin installed beside files that are there, and a new version of it: docs/backfill.md on a whole Picasso."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.elsewhere import Elsewhere
from tests.live import ROOT, Instance
from tests.papers import in_paper

PAPER = "docs/backfill.md"
INSTALL = ".venv/bin/pip install ./shout"
UPLOADS = {"hello.txt": b"hello\n", "list.txt": b"a b c", "spaces.txt": b"  \n  \n ", "shouted.txt": b"HELLO\n"}
SECOND = {
    'media_types = {"text/plain"}': 'media_types = {"text/plain"}\n    version = "2"',
    "text.upper()[:1000]": "text.upper()[:1000].strip()",
    "if not text.strip()": "if text.isupper()",
    "There is nothing to shout.": "It is shouted already.",
}
"""What the second version of the README's processor does otherwise."""


class Shop:
    """Where versions of the README's plugin come from."""

    def __init__(self, folder: Path, elsewhere: Elsewhere) -> None:
        (self.code,), (self.project,) = in_paper("README.md", "python"), in_paper("README.md", "toml")
        self.folder, self.elsewhere, self.version = folder, elsewhere, 0
        folder.mkdir()

    def install_the_next(self) -> None:
        self.version += 1
        code = self.code
        for old, new in SECOND.items() if self.version == 2 else ():
            assert old in code
            code = code.replace(old, new)
        (self.folder / "shout.py").write_text(code)
        (self.folder / "pyproject.toml").write_text(self.project.replace("0.1.0", f"0.{self.version}.0"))
        self.elsewhere.pip("install", "--no-deps", "--no-build-isolation", str(self.folder))


@pytest.fixture
def elsewhere(tmp_path) -> Elsewhere:
    return Elsewhere(tmp_path / "venv")


@pytest.fixture
def shop(tmp_path, elsewhere) -> Shop:
    return Shop(tmp_path / "shout", elsewhere)


@pytest.fixture
def instance(tmp_path, elsewhere) -> Iterator[Instance]:
    with Instance(tmp_path / "data", python=str(elsewhere.python)) as instance:
        yield instance


FIRST = {"hello.txt": ("1", "HELLO\n", None), "list.txt": ("1", "A B C", None), "shouted.txt": ("1", "HELLO\n", None)}
SHOWN = [
    {**FIRST, "spaces.txt": ("1", None, None)},
    {
        "hello.txt": ("2", "HELLO", None),
        "list.txt": ("2", "A B C", None),
        "shouted.txt": ("1", "HELLO\n", "2"),
        "spaces.txt": ("2", "", None),
    },
    {**{name: (*shown[:2], "2") for name, shown in FIRST.items()}, "spaces.txt": ("2", "", None)},
]
"""What each file shows of the processor, and which newer version it does not: after each of the first backfills."""


def settle(instance: Instance) -> None:
    """Wait until every processor has had its backfill and none is under way."""

    def settled() -> bool:
        found = instance.get("/backfills/?limit=1000")["results"]
        there = {each["processor"] for each in instance.get("/processors/")}
        running = [each for each in found if each["state"] == "running"]
        return not running and there <= {each["processor"] for each in found if each["kind"] == "process"}

    instance.wait_until(settled, 60)


def newest(instance: Instance) -> dict[str, Any]:
    """Return the processor's newest backfill."""
    found: list[dict[str, Any]] = instance.get("/backfills/?processor=shout&limit=1")["results"]
    return found[0] if found else {"version": "", "state": ""}


def shown(instance: Instance, uploaded: dict[str, str]) -> dict[str, Any]:
    """Ask for each file."""
    found = {name: instance.get(f"/files/{pk}/") for name, pk in uploaded.items()}
    return {
        name: (job["version"], job["data"].get("shout"), job["newer"] and job["newer"]["version"])
        for name, file in found.items()
        for job in file["jobs"]
        if job["processor"] == "shout"
    }


def steps() -> list[tuple[str, list[str]]]:
    """Return each command of the page with the lines that it shows."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", (ROOT / PAPER).read_text(), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                found.append((" ".join(line[2:].split()), []))
            else:
                found[-1][1].append(plain(line))
    return found


def plain(line: str) -> str:
    """Leave out what differs each time."""
    line = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", line)
    return re.sub(r", (about [^.:]*|[\d.,]+ a second)", "", line).strip()


def run(instance: Instance, command: str, file: str) -> str:
    """Do what a reader would, with the ids that there are here."""
    if command.startswith("curl "):
        command = command.replace("curl ", "curl --silent --show-error --fail ")
        command = re.sub("backfills/019e[0-9a-f-]+", f"backfills/{newest(instance)['id']}", command)
        # By a shell, which is what the reader's terminal is.
        done = subprocess.run(
            ["sh", "-c", command.replace("http://127.0.0.1:8000", instance.url)], capture_output=True, text=True
        )
    else:
        done = instance.manage(*shlex.split(re.sub("report shout 019e[0-9a-f-]+", f"report shout {file}", command))[1:])
    assert done.returncode == 0, command + done.stdout + done.stderr
    return done.stdout


def holds(expected: Any, found: Any) -> bool:
    """Whether ``found`` has all that ``expected`` has."""
    if isinstance(expected, dict):
        return all(holds(value, found[key]) for key, value in expected.items())
    return bool(expected == found)


@pytest.mark.timeout(300)
def test_the_page_about_backfills_is_true_line_by_line(instance, shop):
    (answer,) = in_paper(PAPER, "json")
    todo, after = steps(), list(SHOWN)
    with instance.running():
        uploaded = {name: instance.ended(instance.upload(content, name))["id"] for name, content in UPLOADS.items()}
        settle(instance)
    while todo:
        assert todo.pop(0) == (INSTALL, [])
        shop.install_the_next()
        expected_state = "done" if shop.version == 1 else "planned"
        with instance.running():
            new = {"version": str(shop.version), "state": expected_state}
            instance.wait_until(lambda new=new: holds(new, newest(instance)), 60)
            if shop.version == 1:
                assert shown(instance, uploaded) == after.pop(0)
            while todo and todo[0][0] != INSTALL:
                command, expected = todo.pop(0)
                said = run(instance, command, uploaded["hello.txt"])
                lines = map(plain, said.splitlines())
                assert [line for line in expected if line not in lines] == [], f"{command}\n{said}"
                if command.endswith("--watch"):
                    assert shown(instance, uploaded) == after.pop(0)
                if command.startswith("curl ") and " -d " not in command:
                    assert holds(json.loads(answer), json.loads(said)), said
                if "--start" in command or " -d " in command:
                    settle(instance)
            if not todo:
                assert shown(instance, uploaded)["hello.txt"] == ("2", "HELLO", None)
    assert after == []
