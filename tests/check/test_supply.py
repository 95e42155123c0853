"""What the service is built from: the locks hold all of it, nothing else, and each file by its hash."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEPTRY = [str(Path(sys.executable).parent / "deptry"), "--no-ansi"]
EXTRAS = tuple(PROJECT["optional-dependencies"])
LOCKS = {
    "requirements.txt": (),
    "requirements-dev.txt": tuple(extra for extra in EXTRAS if extra != "check"),
    "requirements-check.txt": EXTRAS,
}
"""Which extras each lock is for."""


def locked(name: str) -> dict[str, Requirement]:
    """What a lock pins, by name; fails where there is a line that is neither a pin, a hash nor a comment."""
    entries = re.sub(r"\\\n", " ", (ROOT / name).read_text()).splitlines()
    pins: dict[str, Requirement] = {}
    for entry in [line for line in entries if not re.match(r"\s*(#|$)", line)]:
        pinned, *hashes = entry.split(" --hash=")
        assert hashes, f"{entry} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", one) for one in hashes)
        requirement = Requirement(pinned)
        assert re.fullmatch(r"==[^,*]+", str(requirement.specifier)), f"{pinned} is not pinned"
        pins[canonicalize_name(requirement.name)] = requirement
    return pins


def needed(extras: tuple[str, ...]) -> dict[str, list[Requirement]]:
    """All that the project needs here, directly or not, with each demand on it: what is installed says so itself."""
    asked = [*PROJECT["dependencies"], *[one for extra in extras for one in PROJECT["optional-dependencies"][extra]]]
    waiting = [(Requirement(one), "") for one in asked]
    found: dict[str, list[Requirement]] = {}
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        found.setdefault(name, []).append(requirement)
        for wanted in {"", *requirement.extras} - {wanted for known, wanted in seen if known == name}:
            seen.add((name, wanted))
            waiting += [(Requirement(one), wanted) for one in requires(name) or []]
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_is_hashed_complete_and_minimal(name: str) -> None:
    """Every file by its SHA-256; all that is needed here, in a version that all agree to; and nothing beside it."""
    pins, demands = locked(name), needed(LOCKS[name])
    here = {one for one, pin in pins.items() if pin.marker is None or pin.marker.evaluate()}
    assert here == demands.keys()
    for one, requirements in demands.items():
        (version,) = [part.version for part in pins[one].specifier]
        assert all(requirement.specifier.contains(version, prereleases=True) for requirement in requirements), one


def test_tests_run_on_what_is_shipped() -> None:
    """The same versions in each lock, and no address in any."""
    shipped, *others = (locked(name) for name in LOCKS)
    for tested in others:
        assert {name: str(tested.get(name)) for name in shipped} == {name: str(pin) for name, pin in shipped.items()}
    for name in LOCKS:
        assert "://" not in (ROOT / name).read_text()


@pytest.mark.parametrize("scope", [["."], ["app", "--optional-dependencies-dev-groups", "dev,check"]])
def test_no_dependency_is_unused_missing_or_out_of_place(scope: list[str]) -> None:
    """All that is declared is imported somewhere, what the app imports is no tool of development's: deptry decides."""
    ended = subprocess.run([*DEPTRY, *scope], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert ended.returncode == 0, ended.stderr


def test_no_rule_of_security_is_let_off_without_a_reason() -> None:
    """Each `noqa` of one of ruff's S rules says why."""
    files = [file for folder in ("app", "steps", "tests") for file in (ROOT / folder).rglob("*.py")]
    for file in [ROOT / "conftest.py", *[file for file in files if "node_modules" not in file.parts]]:
        for line in file.read_text().splitlines():
            assert not re.search(r"noqa: (?:[A-Z]+\d+, )*S\d+(?!\d*(?:, [A-Z]+\d+)* - \w)", line), f"{file}: {line}"
