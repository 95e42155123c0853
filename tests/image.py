"""Build the container image from the real Dockerfile, without a registry, and run it: as root on Linux, with buildah.

`python -m tests.image` makes a base image with mmdebstrap, from the Debian that has the Dockerfile's Python, and builds
on it. The result runs as PID 1 of a namespace, as the image's own user, on a root file system that can't be written to.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.cluster import running_cluster
from tests.support.pooler import running_pooler
from tests.support.processes import free_port
from tests.support.service import SECRET
from tests.support.tokens import token

ROOT = Path(__file__).parents[1]
DEBIAN = "sid"
COMMIT = "abc1234"
BASE, IMAGE = "localhost/python", "localhost/todo-api"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
UNWANTED = ("gcc", "cc", "make", "pip", "pytest", "buildah")
# the host's folders can't be seen from there, and nothing but /tmp can be written to
INSIDE = """
mount --make-rprivate / && mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"
mount -t proc proc "$1/proc" && mount -t tmpfs tmpfs "$1/tmp" && mount --rbind /dev "$1/dev"
root=$1 && user=$2 && shift 2 && exec chroot --userspec="$user" "$root" "$@"
"""


def run(*command: str, **environment: str) -> str:
    """Run a command to its good end, and return what it printed."""
    ended = subprocess.run(  # noqa: S603 - our own
        command, cwd=ROOT, env=os.environ | environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return ended.stdout.strip()


class Store:
    """Images and containers in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def buildah(self, *arguments: str) -> str:
        """Run buildah on this store."""
        store = ["--root", f"{self._folder}/root", "--runroot", f"{self._folder}/run"]
        return run("buildah", *store, *arguments, BUILDAH_ISOLATION="chroot")

    def size(self, image: str) -> int:
        """The bytes of an image's files."""
        root = self.mount(image)
        return sum(path.lstat().st_size for path in root.rglob("*") if not path.is_symlink() and path.is_file())

    def mount(self, image: str) -> Path:
        """Give a new container's files."""
        return Path(self.buildah("mount", self.buildah("from", "--pull-never", image)))


@contextmanager
def images() -> Iterator[Store]:
    """Build both images; all is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="todo-api-image-") as name:
        store, base = Store(Path(name)), Path(name, "base")
        include = "--include=python3,python3-venv,ca-certificates"
        # an index of sid is valid for a week, and a mirror may be older
        any_age = '--aptopt=Acquire::Check-Valid-Until "false"'
        run("mmdebstrap", "--quiet", "--mode=root", "--variant=apt", any_age, include, DEBIAN, str(base))
        container = store.buildah("from", "scratch")
        store.buildah("add", "--quiet", container, str(base), "/")
        store.buildah("commit", "--quiet", "--rm", container, BASE)
        trusted = ["--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro"]  # of a proxy in front of the package index
        arguments = ["--build-arg", f"PYTHON={BASE}", "--build-arg", f"COMMIT={COMMIT}"]
        options = ["--quiet", "--pull-never", "--format", "docker", *arguments, "--tag", IMAGE]
        store.buildah("bud", *options, *trusted, ".")
        try:
            yield store
        finally:
            store.buildah("rm", "--all")


class Container:
    """The image, run as PID 1 with these variables and no others."""

    def __init__(self, store: Store, *command: str, **variables: str) -> None:
        config = json.loads(store.buildah("inspect", "--type", "image", IMAGE))["Docker"]["config"]
        variables = dict(one.split("=", 1) for one in config["Env"]) | variables
        self._root, self._user, self._env = store.mount(IMAGE), config["User"], variables
        self.health = config["Healthcheck"]["Test"][1:]
        assert self._user.split(":")[0] not in ("", "0", "root")
        self.process = subprocess.Popen(  # noqa: S603 - our own
            [*self._namespace(), *(command or config["Cmd"])],
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _namespace(self) -> list[str]:
        unshare = ["/usr/bin/unshare", "--pid", "--fork", "--kill-child", "--mount"]
        return [*unshare, "/bin/sh", "-ec", INSIDE, "sh", str(self._root), self._user]

    def inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run another command in it, as `docker exec` does."""
        again = [*self._namespace(), *command]
        return subprocess.run(again, env=self._env, capture_output=True, text=True, check=False)  # noqa: S603 - our own

    def pids(self) -> list[int]:
        """Its processes, the first one first."""
        first = run("pgrep", "--parent", str(self.process.pid))
        return [int(first), *map(int, run("pgrep", "--parent", first).split())] if self.process.poll() is None else []

    def stop(self) -> tuple[int, float, str, str]:
        """Send SIGTERM to PID 1, as `docker stop` does; return its status, how long it took, and what it said."""
        began = time.monotonic()
        os.kill(int(run("pgrep", "--parent", str(self.process.pid))), signal.SIGTERM)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, time.monotonic() - began, out, err


def python_of_the_dockerfile() -> str:
    """The Python that the image has where it is built on the Dockerfile's own base, such as 3.14."""
    (version,) = re.findall(r"^ARG PYTHON=python:([0-9.]+)-slim$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    return str(version)


def wait_until_ready(container: Container, url: str) -> float:
    """Return how long it took."""
    began = time.monotonic()
    while time.monotonic() < began + 60:
        assert container.process.poll() is None, container.process.communicate()
        try:
            if httpx.get(url + "/health/ready").status_code == 200:
                return time.monotonic() - began
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("it did not become ready")


def use(store: Store, database: str, **variables: str) -> None:
    """Serve, use it, and stop it."""
    port = str(free_port())
    url = f"http://127.0.0.1:{port}"
    where = {"DATABASE_URL": database, "BETTER_AUTH_SECRET": SECRET, "HOST": "127.0.0.1", "PORT": port}
    container = Container(store, **where, **variables)
    took = wait_until_ready(container, url)
    healthy = container.inside(*container.health)
    assert healthy.returncode == 0, healthy.stderr
    headers = {"authorization": f"Bearer {token('alice')}", "x-forwarded-proto": "https"}
    created = httpx.post(url + "/api/alice/tasks", json={"title": "Buy milk"}, headers=headers)
    assert created.status_code == 201, created.text
    assert httpx.get(url + "/api/alice/tasks", headers={**headers, "x-forwarded-proto": "http"}).status_code == 403
    status, seconds, out, err = container.stop()
    assert status == 0, (status, out, err)
    assert [json.loads(line)["status"] for line in out.splitlines() if "/api/{user_id}/tasks" in line] == [201, 403]
    assert container.inside(*container.health).returncode != 0
    told = f"{variables or 'serve'}: ready after {took:.1f} s, stopped in {seconds:.1f} s by SIGTERM"
    print(f"{told}; wrote nowhere but to /tmp", file=sys.stderr)


def main() -> None:
    """Build, inspect and run it; the first thing that does not hold is an AssertionError."""
    with images() as store, running_cluster() as cluster, running_pooler(cluster) as pooler:
        base, whole = store.size(BASE), store.size(IMAGE)
        print(f"the base has {base / 1e6:.0f} MB; the service adds {(whole - base) / 1e6:.0f} MB", file=sys.stderr)
        added = store.mount(IMAGE) / "opt" / "todo-api"
        assert not [
            name for name in UNWANTED if list((added / "bin").glob(name)) or list((added / "bin").glob(f"{name}3*"))
        ]
        assert not list(added.rglob("*.feature"))
        version = Container(store, "todo-api", "--version").process.communicate()[0].strip()
        print(version, file=sys.stderr)
        assert version.endswith(f"+g{COMMIT}")
        interpreter = Container(store, "python3", "--version").process.communicate()[0]
        assert interpreter.startswith(f"Python {python_of_the_dockerfile()}."), interpreter
        refused = Container(store)
        assert "DATABASE_URL is missing" in refused.process.communicate()[1]
        with cluster.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE task, idempotency_key, todo_api_version CASCADE")
        migrated = Container(store, "todo-api", "migrate", DATABASE_URL=pooler.url, BETTER_AUTH_SECRET=SECRET)
        assert migrated.process.communicate()[1] == ""
        assert migrated.process.returncode == 0
        use(store, pooler.url)


if __name__ == "__main__":
    main()
