"""What is published is whole; `make build` tries it as well."""

import zipfile

import pytest

from tests.distributions import PROJECTS, build, left_out


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_a_wheel_has_every_file_of_its_package_and_nothing_of_the_clone(project, tmp_path):
    wheel = build(project, tmp_path)
    assert left_out(project, wheel) == set()
    with zipfile.ZipFile(wheel) as archive:
        folders = {name.partition("/")[0] for name in archive.namelist()}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == {
        path.name for path in (project / "src").iterdir() if path.suffix != ".egg-info"
    }
