"""Installed processors are found through the entry point alone; a broken one is shown with its cause."""

import json
import sys
from pathlib import Path

import pytest

from picasso_core import plugins
from picasso_core.processors import Processor, Result, accepts
from tests.elsewhere import Elsewhere

GOOD = """
from picasso_core.processors import Processor, Result

class Good(Processor):
    media_types = {"text/plain"}

    def process(self, file):
        return Result(data={"size": file.size})
"""


def distribution(folder: Path, name: str, code: str, entry: str, version: str = "1.0") -> None:
    """Lay a distribution out as pip does: its module, and the entry point in its metadata."""
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(code)
    metadata = folder / f"{module}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (metadata / "entry_points.txt").write_text(f"[{plugins.GROUP}]\n{entry}\n")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder for distributions that this process sees."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in [name for name, module in sys.modules.items() if str(folder) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]


def found(name: str) -> plugins.Plugin:
    return next(plugin for plugin in plugins.installed() if plugin.name == name)


def test_an_installed_processor_is_found_and_described(site):
    distribution(site, "shop-good", GOOD, "good = shop_good:Good")
    description = found("good").describe()
    assert description["distribution"] == "shop-good 1.0"
    assert (description["version"], description["media_types"], description["error"]) == ("1", ["text/plain"], "")
    assert description["limits"]["seconds"] == 60
    json.dumps(description)


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        (GOOD.replace('media_types = {"text/plain"}', "pass"), "media_types must be a set of media types"),
        (GOOD.replace('{"text/plain"}', '"text/plain"'), "media_types must be a set of media types"),
        (GOOD.replace('{"text/plain"}', '{"text"}'), "media_types has 'text'"),
        (GOOD.replace("def process", "def proceed"), "abstract method"),
        ("class Good: pass", "Good is not a subclass of picasso_core.processors.Processor"),
        (GOOD.replace("class Good", "class Other"), "has no attribute 'Good'"),
        (GOOD.replace('{"text/plain"}', '{"text/plain"}\n    version = 2'), "version must be a string"),
        (GOOD.replace('{"text/plain"}', '{"text/plain"}\n    limits = 3'), "limits must be"),
        (GOOD.replace('{"text/plain"}', '{"text/plain"}\n    signatures = [("x",)]'), "signatures has ('x',)"),
        (GOOD.replace('{"text/plain"}', '{"text/plain"}\n    preload = ("gone",)'), "No module named 'gone'"),
    ],
)
def test_a_broken_plugin_is_shown_with_its_cause_and_the_others_work(site, code, cause):
    distribution(site, "shop-bad", code, "bad = shop_bad:Good")
    distribution(site, "shop-good", GOOD, "good = shop_good:Good")
    assert cause in found("bad").error
    assert found("bad").error.startswith("shop-bad 1.0 cannot be used: ")
    assert found("bad").processor is None
    assert found("good").processor is not None


def test_two_distributions_that_claim_one_name_are_both_named_and_neither_runs(site):
    distribution(site, "shop-one", GOOD, "same = shop_one:Good")
    distribution(site, "shop-two", GOOD, "same = shop_two:Good")
    plugin = found("same")
    assert plugin.error == "shop-one 1.0 and shop-two 1.0 both claim the name 'same': uninstall one of them."
    assert plugin.processor is None


@pytest.mark.parametrize(
    ("patterns", "accepted", "refused"),
    [
        ({"image/png"}, "image/png", "image/jpeg"),
        ({"image/*"}, "image/jpeg", "text/plain"),
        ({"*/*"}, "text/plain", None),
        ({"application/vnd.ms-excel.sheet.macroenabled.12"}, "application/vnd.ms-excel.sheet.macroEnabled.12", "a/b"),
        ({"text/plain", "text/html"}, "text/html", "text/xhtml"),
    ],
)
def test_media_types_are_names_families_or_everything(patterns, accepted, refused):
    assert accepts(patterns, accepted)
    assert refused is None or not accepts(patterns, refused)


def test_a_processor_without_media_types_is_told_so():
    class Nothing(Processor):
        def process(self, file):
            return Result()

    assert list(plugins.problems(Nothing())) == ["media_types must be a set of media types such as {'image/png'}"]


@pytest.fixture
def elsewhere(tmp_path):
    return Elsewhere(tmp_path / "venv")


def test_the_command_lists_what_is_installed(elsewhere):
    run = elsewhere.manage("processors")
    assert run.returncode == 0, run.stderr
    assert "echo         version 1    picasso-echo 0.1.0   application/vnd.picasso.echo" in run.stdout


def test_the_command_shows_what_is_broken_and_exits_with_1(elsewhere):
    distribution(elsewhere.site, "shop-bad", "import no_such_module", "bad = shop_bad:Bad")
    run = elsewhere.manage("processors")
    assert run.returncode == 1
    assert "bad          broken   shop-bad 1.0 cannot be used: ModuleNotFoundError" in run.stdout
    assert "echo         version 1" in run.stdout


def test_a_plugin_whose_import_kills_the_process_is_set_aside(elsewhere):
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    distribution(elsewhere.site, "shop-killer", code, "killer = shop_killer:Killer")
    run = elsewhere.manage("processors")
    assert run.returncode == 1
    assert "Importing killer ended the process (exit status -9); it is left out." in run.stdout
    assert "echo         version 1" in run.stdout
