"""Build the wheel and the sdist of the core and of each plugin, and try them where nothing else is: `make build`."""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECTS = [ROOT, *(path.parent for path in sorted(ROOT.glob("plugins/*/pyproject.toml")))]


def build(project: Path, folder: Path) -> Path:
    """Make the sdist, and the wheel out of that, so that it is known to be whole; return the wheel."""
    before = set(folder.glob("*.whl"))
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(project)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    (wheel,) = set(folder.glob("*.whl")) - before
    return wheel


def left_out(project: Path, wheel: Path) -> set[str]:
    """The files of the project's packages that the wheel lacks: templates, samples, py.typed are easily forgotten."""
    files = (path for path in (project / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    with zipfile.ZipFile(wheel) as archive:
        return {str(path.relative_to(project / "src")) for path in files} - set(archive.namelist())


def try_out(wheels: list[Path]) -> None:
    """Install the wheels beside what is locked, nothing else, and run the demo far from the clone."""
    with tempfile.TemporaryDirectory(prefix="picasso-build-") as name:
        folder = Path(name)
        venv.create(folder / "venv")
        python = str(folder / "venv" / "bin" / "python")
        pip = [sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check", "--python", python, "install"]
        subprocess.run([*pip, "--require-hashes", "--requirement", ROOT / "requirements/server.txt"], check=True)
        subprocess.run([*pip, "--no-deps", *wheels], check=True)
        shutil.copy(ROOT / "manage.py", folder)
        shutil.copytree(ROOT / "config", folder / "config", ignore=shutil.ignore_patterns("__pycache__"))
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("PICASSO_", "PYTHON"))}
        installed = "import picasso_core as core; assert 'site-packages' in core.__file__, core.__file__"
        for arguments in (["-c", installed], ["manage.py", "demo"]):
            subprocess.run([python, *arguments], check=True, cwd=folder, env=clean)


def main(folder: Path) -> int:
    shutil.rmtree(folder, ignore_errors=True)
    wheels = []
    for project in PROJECTS:
        wheels.append(build(project, folder))
        if missing := left_out(project, wheels[-1]):
            print(f"{wheels[-1].name} lacks {', '.join(sorted(missing))}", file=sys.stderr)
            return 1
    try_out(wheels)
    print("Built", *sorted(path.name for path in folder.iterdir()), sep="\n  ")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]).resolve()))
    except subprocess.CalledProcessError as error:
        sys.exit(f"Failed with status {error.returncode}: {' '.join(map(str, error.cmd))}")
