"""An install gives the same on any day and with any pip: the locks name all of it, and nothing is resolved or built.

pip before 23.3 does not see that a pin of `coverage` answers a demand for `coverage[toml]` (its issues 9644 and 12345).
It asks the index for the newest one then, and refuses it because the lock has no hash of it. With `--no-deps` it asks
nothing, and `pip check` says whether what it installed is all that is needed.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.locks import HERE, LOCKS, ROOT, assert_complete, locked

SYSTEMS = {
    "linux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    "darwin": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix", "platform_machine": "arm64"},
}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
OF_ANYTHING = ["--no-deps"]
"""The options of every install: nothing is resolved."""
OF_A_LOCK = ["--no-deps", "--require-hashes", "--only-binary :all:"]
"""Those of the install of a lock: nothing but what was locked, and no sdist is built."""


def commands(text: str) -> list[str]:
    """Each command of a script, a document or a Python source in which commands are lists of words."""
    joined = text.replace("\\\n", " ")
    return [re.sub(r"""[\s"'`,*()\[\]{}]+""", " ", command) for command in re.split(r"\n|&&|;", joined)]


def faults(text: str) -> list[str]:
    """Whatever in these commands would let the day of the install, or the age of pip, decide what is installed."""
    wrong: list[str] = []
    is_checked = True
    for command in commands(text):
        if re.search(r"\bpip\b.* check\b", command, re.IGNORECASE):
            is_checked = True
        if not re.search(r"\bpip\b.* install\b", command, re.IGNORECASE):
            continue
        is_checked = False
        options = OF_A_LOCK if re.search(r" (-r|--requirement)\b", command) else OF_ANYTHING
        wrong += [f"{option} is missing: {command}" for option in options if option not in command]
    if not is_checked:
        wrong.append("no pip check after the last install")
    return wrong


def made(*targets: str, path: str) -> str:
    """What make would run to install from nothing."""
    ended = subprocess.run(  # noqa: S603 - our own
        ["/usr/bin/env", "make", "--dry-run", "--always-make", "--no-print-directory", *targets],
        cwd=ROOT,
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout


def texts() -> Iterator[tuple[str, str]]:
    """Each file that may hold an install command of ours, by its name; the Makefile's commands are read elsewhere."""
    patterns = ("Dockerfile", "*.md", "docs/*.md", ".ci/*", ".github/**/*.yml", ".github/*.md", "tests/**/*.py")
    for pattern in patterns:
        for file in sorted(ROOT.glob(pattern)):
            if file != Path(__file__) and "node_modules" not in file.parts:
                yield str(file.relative_to(ROOT)), file.read_text()


@pytest.mark.parametrize("with_uv", [False, True], ids=["pip", "uv"])
@pytest.mark.parametrize("target", ["installed-run", "installed", "installed-check"])
def test_make_installs_what_is_locked(tmp_path: Path, target: str, with_uv: bool) -> None:
    """By pip, and by uv where it is on the PATH: with no dependency resolved, and checked after each step."""
    folders = [folder for folder in os.environ["PATH"].split(os.pathsep) if not Path(folder, "uv").exists()]
    if with_uv:
        (tmp_path / "uv").touch(mode=0o755)
        folders.insert(0, str(tmp_path))
    recipe = made(f".venv/{target}", path=os.pathsep.join(folders))
    assert faults(recipe) == []
    locks = ["requirements-run.txt", "requirements-dev.txt", "requirements-check.txt"]
    expected = {"installed-run": 1, "installed": 2, "installed-check": 3}[target]
    assert re.findall(r"-r (\S+)", recipe) == locks[:expected]
    assert recipe.count("uv pip install") == (expected + 1 if with_uv else 0)


def test_every_other_install_command_is_as_strict() -> None:
    """In the image, the documents, the workflows and the tests."""
    installing = {name: text for name, text in texts() if re.search(r"\bpip\b.*\binstall\b", text, re.IGNORECASE)}
    assert {"Dockerfile", "docs/deploying.md", "tests/check/test_wheel.py"} <= installing.keys()
    assert {name: faults(text) for name, text in installing.items() if faults(text)} == {}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("pip install --require-hashes --only-binary :all: -r requirements.txt\npip check", "--no-deps is missing"),
        ("pip install --no-deps --only-binary :all: -r requirements.txt && pip check", "--require-hashes is missing"),
        ("uv pip install --no-deps --require-hashes \\\n -r requirements.txt; uv pip check", "--only-binary :all: is"),
        ("pip check\npip install --no-deps todo_api.whl", "no pip check"),
        ('run(*pip, "install", wheel)\nrun(*pip, "check")', "--no-deps is missing"),
        ("pip install --no-deps todo_api.whl", "no pip check"),
    ],
)
def test_an_install_command_that_leaves_something_open_is_seen(text: str, fault: str) -> None:
    """The test above finds each kind."""
    (seen,) = faults(text)
    assert seen.startswith(fault)


def test_npm_installs_what_is_locked() -> None:
    """`npm ci` fails where the lock does not answer package.json, and runs no package's own scripts.

    `npm install` and `npx` would fetch what is newest. The lock has each file's hash, and no address.
    """
    ours = {name: text for name, text in texts() if name.startswith((".ci", ".github"))}
    ours["Makefile"] = (ROOT / "Makefile").read_text()
    assert "npm ci" in ours["Makefile"]
    for name, text in ours.items():
        assert not re.search(r"\bnpm (install|i)\b|\bnpx\b", text), name
        assert all("--package-lock-only" in line for line in text.splitlines() if "npm update" in line), name
    assert "ignore-scripts=true" in (ROOT / "tests/node/.npmrc").read_text().splitlines()
    _, *packages = json.loads((ROOT / "tests/node/package-lock.json").read_text())["packages"].values()
    assert all(package["integrity"].startswith("sha512-") for package in packages)
    assert not any("resolved" in package for package in packages)


@pytest.mark.parametrize("name", [name for name in LOCKS if name != "requirements-check.txt"])
def test_a_lock_is_hashed_complete_and_minimal(name: str) -> None:
    """Every file by its SHA-256; all that is needed here, in a version that all agree to; and nothing beside it."""
    assert_complete(name, HERE)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", [name for name in LOCKS if name != "requirements-check.txt"])
def test_a_lock_is_complete_on_each_python_and_system(name: str, python: str, system: str) -> None:
    """By the markers of its pins, and of what the packages that are installed here say that they need."""
    assert_complete(name, {"python_version": python, "python_full_version": f"{python}.0", **SYSTEMS[system]})


def test_what_runs_and_what_is_tested_is_what_is_shipped() -> None:
    """The same versions in each lock, and no address in any."""
    shipped, *others = (locked(name) for name in LOCKS)
    for other in others:
        assert {name: str(other.get(name)) for name in shipped} == {name: str(pin) for name, pin in shipped.items()}
    smaller, larger = locked("requirements-run.txt"), locked("requirements-dev.txt")
    assert {name: str(larger.get(name)) for name in smaller} == {name: str(pin) for name, pin in smaller.items()}
    for name in LOCKS:
        assert "://" not in (ROOT / name).read_text()
