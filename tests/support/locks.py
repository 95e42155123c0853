"""The hashed locks: what each one pins, and what its part of the project needs."""

import re
import tomllib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = tuple(PROJECT["optional-dependencies"])
LOCKS = {
    "requirements.txt": ("telemetry",),
    "requirements-run.txt": ("telemetry", "embedded", "build"),
    "requirements-dev.txt": tuple(extra for extra in EXTRAS if extra != "check"),
    "requirements-check.txt": EXTRAS,
}
"""Which extras each lock is for."""
HERE: dict[str, str] = {}
"""The markers of this Python on this machine."""


def locked(name: str) -> dict[str, Requirement]:
    """What a lock pins, by name; fails where there is a line that is neither a pin, a hash nor a comment."""
    entries = re.sub(r"\\\n", " ", (ROOT / name).read_text()).splitlines()
    pins: dict[str, Requirement] = {}
    for entry in [line for line in entries if not re.match(r"\s*(#|$)", line)]:
        pinned, *hashes = entry.split(" --hash=")
        assert hashes, f"{entry} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", digest) for digest in hashes)
        requirement = Requirement(pinned)
        assert re.fullmatch(r"==[^,*]+", str(requirement.specifier)), f"{pinned} is not pinned"
        pins[canonicalize_name(requirement.name)] = requirement
    return pins


def pinned_for(name: str, markers: Mapping[str, str]) -> set[str]:
    """Name the packages that a lock installs on a Python and a system with these markers."""
    return {
        package for package, pin in locked(name).items() if pin.marker is None or pin.marker.evaluate(dict(markers))
    }


def needed(extras: tuple[str, ...], markers: Mapping[str, str]) -> dict[str, list[Requirement]]:
    """All that the project needs on a Python and a system with these markers, with each demand on it.

    What is installed says what it needs itself. A package that only another system needs is not installed here, so that
    its own needs can't be followed; the tests on that system follow them.
    """
    declared = [*PROJECT["dependencies"]]
    for extra in extras:
        declared += PROJECT["optional-dependencies"][extra]
    waiting = [(Requirement(text), "") for text in declared]
    demands: dict[str, list[Requirement]] = {}
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({**markers, "extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        demands.setdefault(name, []).append(requirement)
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                waiting += [(Requirement(text), wanted) for text in _requires(name, is_here=not markers)]
    return demands


def _requires(name: str, *, is_here: bool) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:
        if is_here:
            raise
        return []


def assert_complete(name: str, markers: Mapping[str, str]) -> None:
    """Fail unless a lock pins all that is needed there, in a version that all agree to, and nothing beside it."""
    pins = locked(name)
    demands = needed(LOCKS[name], markers)
    assert pinned_for(name, markers) == demands.keys()
    for package, requirements in demands.items():
        (version,) = [part.version for part in pins[package].specifier]
        for requirement in requirements:
            assert requirement.specifier.contains(version, prereleases=True), f"{package}: {requirement}"
