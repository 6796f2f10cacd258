"""What a user gets: source archive, wheel, and the commands of an installed package."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

from falcon_edu.__main__ import main
from falcon_edu.course import doctor, notebooks
from falcon_edu.course.doctor import machine, reach, versions

import pytest
from loopback_hub import serve

ROOT = Path(__file__).resolve().parents[1]
COURSE = "falcon_edu/course/lessons/"  # where a wheel has the notebooks
UNREACHABLE = {"HF_ENDPOINT": "http://127.0.0.1:9", "KAGGLE_API_ENDPOINT": "http://127.0.0.1:9"}


def tracked_course():
    """The files of the course, as the repository has them."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "notebooks"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    names = [name for name in listed.split() if (ROOT / name).is_file()]
    return {name.removeprefix("notebooks/") for name in names}


# === Built and installed ===


def build(target, project, folder):
    """The archive that hatchling makes of a project."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    (archive,) = folder.iterdir()
    return archive


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    return build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """From the unpacked archive, so that the archive is known to hold all that a wheel needs."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (project,) = folder.iterdir()
    return build("wheel", project, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The Python of a new environment that has the wheel, and the dependencies of this one."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = [python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", wheel]
    subprocess.run(install, check=True, capture_output=True)
    variables = {"base": str(folder), "platbase": str(folder)}
    site_packages = Path(sysconfig.get_path("purelib", "venv", vars=variables))
    # Looked up after the new environment's own packages, so that its falcon_edu is found first.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_source_archive_holds_what_the_tests_need(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"pyproject.toml", "Makefile", "constraints.txt", "tests/conftest.py", "tools/pin.py"}
    assert needed <= names
    assert not any(name.startswith((".venv", "build/", "dist/")) for name in names)


def test_wheel_holds_models_and_course(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "falcon_edu/presets/data/falcon_tales_rw_en/config.json" in names
    assert "falcon_edu/course/texts/letters_from_little_gannet.txt" in names
    page = {f"falcon_edu/web/{path.name}" for path in (ROOT / "falcon_edu/web").glob("*.js*")}
    assert len(page) > 10
    assert page <= names
    assert course_of(wheel) == tracked_course()
    assert {name.partition("/")[0] for name in names} == {"falcon_edu", dist_info(names)}


def test_a_wheel_of_a_working_tree_leaves_what_is_ignored_there(tmp_path):
    """As `pip install .` builds it: a reader's guesses and Falcon lie beside the notebooks."""
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, tmp_path)
    kept = {"notebooks/00_welcome.ipynb", "notebooks/solutions/my_falcon.py", "falcon_edu/a.py"}
    left = {"notebooks/predictions.json", "notebooks/my_falcon.py"}
    for name in kept | left:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    wheel = build("wheel", tmp_path, tmp_path / "dist")
    assert course_of(wheel) == {"00_welcome.ipynb", "solutions/my_falcon.py"}


def course_of(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    return {name.removeprefix(COURSE) for name in names if name.startswith(COURSE)}


def dist_info(names):
    return next(top for name in names if (top := name.partition("/")[0]).endswith(".dist-info"))


@pytest.mark.slow
def test_installed_package_is_ready_and_copies_the_course(installed, wheel, tmp_path):
    def run(*arguments):
        command = [installed, "-m", "falcon_edu", *arguments]
        share = Path(sysconfig.get_path("data")) / "share/jupyter"  # with JupyterLab's extensions
        environment = {**os.environ, **UNREACHABLE, "JUPYTER_PATH": str(share)}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    said = run("doctor")
    assert said.returncode == 0, said.stdout + said.stderr
    assert str(installed.parents[1]) in said.stdout  # the installed one, not the repository's

    assert run("notebooks", "./here").returncode == 0
    here = tmp_path / "here"
    files = {path.relative_to(here).as_posix() for path in here.rglob("*") if path.is_file()}
    assert files == {name for name in course_of(wheel) if name.endswith(notebooks.COPIED)}
    same = (here / "00_welcome.ipynb").read_bytes()
    assert same == (ROOT / "notebooks/00_welcome.ipynb").read_bytes()


# === Copying ===


def test_work_is_kept_and_what_is_missing_comes(tmp_path, capsys):
    here = tmp_path / "a" / "here"
    assert main(["notebooks", str(here)]) == 0
    mine, gone = here / "01_tokens_and_embeddings.ipynb", here / "solutions/12_lora.py"
    mine.write_text("my work")
    gone.unlink()
    capsys.readouterr()

    assert main(["notebooks", str(here)]) == 0
    said = capsys.readouterr().out
    assert mine.read_text() == "my work"
    assert gone.is_file()
    assert f"copied to {here}: 1." in said
    assert "01_tokens_and_embeddings.ipynb" in said
    assert "12_lora" not in said
    assert not [path for path in here.rglob("*") if path.name.startswith(".")]


def test_a_file_is_no_folder(tmp_path, capsys):
    (tmp_path / "here").write_text("")
    assert main(["notebooks", str(tmp_path / "here")]) == 1
    assert "need a folder" in capsys.readouterr().err


def test_a_package_without_notebooks_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "COURSE", (tmp_path,))
    with pytest.raises(FileNotFoundError, match="reinstall"):
        notebooks.copy_notebooks(tmp_path / "here")


# === The doctor ===


@pytest.mark.slow
def test_ten_lines(monkeypatch, capsys):
    for key, address in UNREACHABLE.items():
        monkeypatch.setenv(key, address)
    status = main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert [line.split()[1] for line in lines[:-1]] == [*doctor.CHECKS]
    assert status == any(line.startswith("NO ") for line in lines)
    assert "Hugging Face does not answer" in lines[-2]


def test_what_is_broken_is_named_and_the_rest_is_said(capsys):
    def broken():
        raise ImportError("no jaxlib\nand more")

    status = doctor.main({"backend": broken, "disk": lambda: machine.look_at_disk(5.0)})
    lines = capsys.readouterr().out.splitlines()
    assert status == 1
    assert lines[0].startswith("NO   backend     ImportError: no jaxlib: in a new environment")
    assert lines[1].startswith("ok   disk")
    assert "(backend)" in lines[2]


def test_the_last_line_says_how_to_begin(capsys, monkeypatch, tmp_path):
    ready = {"disk": lambda: machine.look_at_disk(5.0)}
    for folder, words in ((ROOT, "jupyter lab notebooks"), (tmp_path, "falcon_edu notebooks")):
        monkeypatch.chdir(folder)
        assert doctor.main(ready) == 0
        assert words in capsys.readouterr().out.splitlines()[-1]


def test_packages_out_of_bounds_are_named():
    found = versions.look_at_packages(["numpy<1", "pytest>=1", "absent_package; extra == 'x'"])
    assert not found.is_ready
    assert "numpy is " in found.text
    assert "pytest" not in found.text + found.advice
    assert "absent_package" not in found.text + found.advice


def test_lab_without_a_widget_extension_is_named(tmp_path):
    for extension, package in reach.EXTENSIONS.items():
        found = reach.look_at_widgets([tmp_path])
        assert not found.is_ready
        assert found.advice.endswith(f" {package}")
        (tmp_path / extension).mkdir(parents=True)
        (tmp_path / extension / "package.json").write_text("{}")
    assert reach.look_at_widgets([tmp_path]).is_ready


def test_a_hub_that_answers_with_an_error_answers():
    with serve({}) as hub:
        hub.status = 401
        assert reach.look_at_hubs({"Hub": hub.address}).text == "Hub answers"
    found = reach.look_at_hubs({"Hub": hub.address, "Nonsense": "no address"})
    assert found.text == "Hub does not answer, Nonsense does not answer"
    assert found.is_ready
