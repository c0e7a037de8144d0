"""A virtual environment that sees what is installed here, and where more can be installed without touching this one."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.live import ROOT


class Elsewhere:
    """``python`` runs in it, ``site`` is its folder of packages."""

    def __init__(self, folder: Path) -> None:
        self.python = folder / "bin" / "python"
        self.site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
        self._data = folder.parent / "data-elsewhere"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        (self.site / "here.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``manage.py`` in it."""
        environment = {**os.environ, "PICASSO_DATA": str(self._data)}
        command = [str(self.python), str(ROOT / "manage.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)

    def pip(self, *arguments: str) -> None:
        """Run pip on it, without an index."""
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "--quiet", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
