"""Imports point one way, and the plugin API needs no framework."""

import re
import subprocess
import sys
from pathlib import Path

from importlinter.cli import lint_imports

ROOT = Path(__file__).parent.parent
PLUGIN_API = "picasso_core.processors, picasso_core.exceptions, picasso_core.testing, picasso_core.plugins"


def test_imports_point_one_way(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert lint_imports(no_cache=True) == 0


def test_the_plugin_api_needs_the_standard_library_alone():
    found = "{name.partition('.')[0] for name in sys.modules} & {'django', 'celery', 'rest_framework', 'kombu'}"
    program = f"import sys, {PLUGIN_API}; print({found})"
    run = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_the_core_names_no_plugin():
    names = re.compile("|".join(path.name.replace("-", "[-_]") for path in (ROOT / "plugins").glob("picasso-*")))
    sources = [*(ROOT / "src").rglob("*.py"), *(ROOT / "config").rglob("*.py")]
    assert [path.name for path in sources if names.search(path.read_text())] == []


def test_no_module_is_a_drawer_for_everything():
    forbidden = {"utils", "helpers", "common", "base", "manager", "managers", "services", "signals", "constants"}
    assert {path.stem for path in (ROOT / "src").rglob("*.py")} & forbidden == set()
