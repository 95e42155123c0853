"""What all tests and steps share: the database, the service, the people."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from app.core.settings import Settings
from app.main import create_app
from tests.support import pooler
from tests.support.citus import running_citus
from tests.support.clock import PATIENCE
from tests.support.cluster import Cluster, DurableCluster, running_cluster
from tests.support.environment import clear_environment
from tests.support.people import Cast
from tests.support.pooler import Pooler
from tests.support.processes import Run, postgres_of, service_process
from tests.support.service import (
    RunService,
    Service,
    running_service,
    service_in_process,
    settings_for,
    wait_until_logged,
)

clear_environment()

pytest_plugins = [
    "pytester",
    "tests.acceptance.tests.suite",
    "tests.acceptance.plugin",
    "steps.people",
    "steps.tasks",
    "steps.answers",
    "steps.promises",
    "steps.traces",
    "steps.better_auth",
    "steps.retries",
    "steps.reasons",
]


def pytest_acceptance_endpoints() -> list[tuple[str, str]]:
    """Every endpoint that the documentation lists, by method and path: each must succeed in a scenario."""
    paths = create_app(settings_for("postgresql://nowhere/none")).openapi()["paths"]
    return [(method.upper(), path) for path, operations in paths.items() for method in operations]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the scenarios meet the service, or its database, in another way."""
    parser.addoption("--durable", action="store_true", help="use a PostgreSQL that waits for the disk")
    parser.addoption("--live", action="store_true", help="call a running `todo-api serve` over HTTP")
    parser.addoption("--on-citus", type=Path, metavar="FOLDER", help="use Citus, built from its source in the folder")
    parser.addoption("--through-pgbouncer", action="store_true", help="put PgBouncer before the service's database")


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A PostgreSQL for this run, with the service's tables."""
    source = request.config.getoption("on_citus")
    kind = DurableCluster if request.config.getoption("durable") else Cluster
    with running_citus(source) if source else running_cluster(kind) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def through_pgbouncer(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Pooler | None]:
    """PgBouncer in front of that database, where it was asked for; the server then writes all statements down."""
    if not request.config.getoption("through_pgbouncer"):
        yield None
        return
    cluster.log_statements()
    with pooler.running_pooler(cluster) as running:
        yield running


@pytest.fixture(scope="session")
def settings(cluster: Cluster, through_pgbouncer: Pooler | None) -> Settings:
    """The service's settings, with that database."""
    return settings_for((through_pgbouncer or cluster).url)


@pytest.fixture(scope="session")
def run_service(request: pytest.FixtureRequest) -> RunService:
    """How the scenarios' service is run: in this process, or as `todo-api serve`."""
    return service_process if request.config.getoption("live") else service_in_process


@pytest.fixture(scope="session")
def scenario_service(run_service: RunService, settings: Settings) -> Iterator[Service]:
    """The service of the scenarios."""
    with run_service(settings) as service:
        yield service


@pytest.fixture(scope="session")
def service(settings: Settings) -> Iterator[Service]:
    """The service behind a socket, for what needs one."""
    with running_service(settings) as service:
        yield service


@pytest.fixture
def database(cluster: Cluster) -> Iterator[Engine]:
    """The database as a test sees it, without a task at first; a test that stops it leaves it to us to start again."""
    with cluster.engine.begin() as connection:
        connection.execute(text("DELETE FROM task; DELETE FROM idempotency_key"))
    yield cluster.engine
    cluster.start()


@pytest.fixture(autouse=True)
def _log() -> Iterator[None]:
    """What a test asks is logged before the next one begins."""
    yield
    wait_until_logged()


@pytest.fixture
def cast(scenario_service: Service, database: Engine) -> Cast:  # noqa: ARG001 - a scenario starts without tasks
    """Everybody in the scenario."""
    return Cast(scenario_service)


@pytest.fixture
def serve() -> Iterator[Callable[..., Run]]:
    """Start servers that are gone after the test, each with its PostgreSQL."""
    runs: list[Run] = []

    def start(folder: Path, command: list[str] | None = None, **variables: str) -> Run:
        runs.append(Run(folder, command, **variables))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.process.kill()
            run.process.communicate()
        for orphan in postgres_of(run.folder):
            orphan.terminate()
            orphan.wait(PATIENCE)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's own user may reach, which pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="todo-api-") as name:
        Path(name).chmod(0o755)
        yield Path(name)
