"""Compile the three locks from every pyproject.toml; with --check only say whether that is due, offline."""

import hashlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

REQUIREMENTS = Path(__file__).parent
ROOT = REQUIREMENTS.parent
PLUGINS = sorted(ROOT.glob("plugins/*/pyproject.toml"))
EVERYTHING = "\n".join([".[server]", *(f"./{path.parent.relative_to(ROOT)}" for path in PLUGINS)])
# Later ones take the versions of earlier ones: what is tested is what runs.
LOCKS = {
    "server.txt": (EVERYTHING, ()),
    "dev.txt": (EVERYTHING, ("--group=dev", "--constraint=requirements/server.txt")),
    "build.txt": ("", ("--group=build", "--constraint=requirements/dev.txt")),
}
HEADER = "# Compiled by `make lock`. Inputs: sha256 "


def digest(pyprojects: list[Path]) -> str:
    """What the resolution depends on, and nothing else: a changed tool setting needs no new lock."""
    inputs = []
    for path in pyprojects:
        toml = tomllib.loads(path.read_text())
        project = toml["project"]
        keys = ("name", "requires-python", "dependencies", "optional-dependencies")
        inputs.append([{key: project.get(key) for key in keys}, toml.get("dependency-groups")])
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def compile_lock(name: str, projects: str, options: tuple[str, ...], names: list[str]) -> str:
    target = REQUIREMENTS / name
    # Universal: one file holds Django 5.2 for Python 3.11 and 6.x above it. No index address: pip uses the user's own.
    command = ["uv", "pip", "compile", "-", "--quiet", "--universal", "--python-version=3.11", "--generate-hashes"]
    command += ["--no-header", "--no-emit-index-url", "--no-annotate", *options, f"--output-file={target}"]
    command += [f"--no-emit-package={local_name}" for local_name in names]
    subprocess.run([sys.executable, "-m", *command, *sys.argv[1:]], cwd=ROOT, input=projects, text=True, check=True)
    return target.read_text()


def main() -> int:
    pyprojects = [ROOT / "pyproject.toml", *PLUGINS]
    header = f"{HEADER}{digest(pyprojects)}\n"
    if sys.argv[1:] == ["--check"]:
        stale = [name for name in LOCKS if not (REQUIREMENTS / name).read_text().startswith(header)]
        if stale:
            print(f"requirements: {', '.join(stale)} older than a pyproject.toml: run `make lock`", file=sys.stderr)
        return bool(stale)
    names = [tomllib.loads(path.read_text())["project"]["name"] for path in pyprojects]
    for name, (projects, options) in LOCKS.items():
        (REQUIREMENTS / name).write_text(header + compile_lock(name, projects, options, names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
