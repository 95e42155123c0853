"""What all tests and steps share: the database, the service, the people."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_bdd.parser import Step
from sqlalchemy import Engine, text

from app.core.embedded import EmbeddedPostgres
from app.core.settings import Settings
from app.main import create_app
from tests import lies
from tests.acceptance.boundary import Lie, lies_in
from tests.support import pooler
from tests.support.citus import running_citus
from tests.support.clock import PATIENCE
from tests.support.cluster import Cluster, DurableCluster, running_cluster
from tests.support.databases import MakeDatabase, empty_databases
from tests.support.environment import clear_environment
from tests.support.ledger import Ledger
from tests.support.people import Cast
from tests.support.pooler import Pooler
from tests.support.processes import Run, postgres_of, service_process
from tests.support.service import (
    RunService,
    Service,
    default_settings,
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
    "tests.acceptance.lying",
    "steps.people",
    "steps.answers",
    "steps.listing",
    "steps.creating",
    "steps.looking",
    "steps.changing",
    "steps.deleting",
    "steps.keeping_private",
    "steps.keeping_safe",
    "steps.refusing",
    "steps.retrying",
    "steps.editing_in_tabs",
    "steps.signing_in",
    "steps.signing_in_with_better_auth",
    "steps.refusing_tokens",
    "steps.failing",
    "steps.answering",
    "steps.logging_requests",
    "steps.measuring_requests",
    "steps.letting_pages_call",
    "steps.serving_https",
    "steps.starting",
    "steps.documenting",
]


def pytest_acceptance_endpoints() -> list[tuple[str, str]]:
    """Every endpoint that the documentation lists, by method and path: each must succeed in a scenario."""
    paths = create_app(settings_for("postgresql://nowhere/none")).openapi()["paths"]
    return [(method.upper(), path) for path, operations in paths.items() for method in operations]


def pytest_acceptance_lies() -> list[Lie]:
    """The lies that `make lies` tells in the scenarios."""
    return lies_in(lies)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the scenarios meet the service, or its database, in another way."""
    parser.addoption("--durable", action="store_true", help="use a PostgreSQL that waits for the disk")
    parser.addoption("--live", action="store_true", help="call a running `todo-api serve` over HTTP")
    parser.addoption("--on-citus", type=Path, metavar="FOLDER", help="use Citus, built from its source in the folder")
    parser.addoption("--through-pgbouncer", action="store_true", help="put PgBouncer before the service's database")


@pytest.fixture(scope="session", autouse=True)
def _no_sync() -> Iterator[None]:
    """New data don't wait for the disk, here and when they are removed: half of what a new PostgreSQL takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EmbeddedPostgres, "INITDB_OPTIONS", (*EmbeddedPostgres.INITDB_OPTIONS, "--no-sync"))
        yield


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A PostgreSQL for this run, with the service's tables."""
    source = request.config.getoption("on_citus")
    kind = DurableCluster if request.config.getoption("durable") else Cluster
    with running_citus(source) if source else running_cluster(kind) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def lying_engine(cluster: Cluster) -> Engine:
    """What lies change the service's database through."""
    return cluster.engine


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
def scenario_service(run_service: RunService, cluster: Cluster, through_pgbouncer: Pooler | None) -> Iterator[Service]:
    """The service of the scenarios, on its own defaults: what they say of times is what is promised."""
    with run_service(default_settings((through_pgbouncer or cluster).url)) as service:
        yield service


@pytest.fixture(scope="session")
def service(settings: Settings) -> Iterator[Service]:
    """The service behind a socket, for what needs one."""
    with running_service(settings) as service:
        yield service


@pytest.fixture
def database(cluster: Cluster) -> Iterator[Engine]:
    """The database as a test sees it, without a task at first.

    A test that stops it leaves it to us to start again, and what it has given up to us to wait for.
    """
    with cluster.engine.begin() as connection:
        connection.execute(text("DELETE FROM task; DELETE FROM idempotency_key"))
    yield cluster.engine
    cluster.start()
    cluster.wait_until_idle()


@pytest.fixture
def make_database(cluster: Cluster) -> Iterator[MakeDatabase]:
    """What makes an empty database beside the service's own."""
    with empty_databases(cluster) as make:
        yield make


@pytest.fixture(autouse=True)
def _log() -> Iterator[None]:
    """What a test asks is logged before the next one begins."""
    yield
    wait_until_logged()


@pytest.fixture
def ledger(cluster: Cluster, database: Engine) -> Iterator[Ledger]:  # noqa: ARG001 - there are no tasks at first
    """What must be stored; at the end of each step, and of the test, it is."""
    ledger = Ledger(cluster)
    yield ledger
    cluster.start()
    ledger.settle()


@pytest.fixture
def cast(scenario_service: Service, database: Engine) -> Cast:  # noqa: ARG001 - a scenario starts without tasks
    """Everybody in the scenario."""
    return Cast(scenario_service)


def pytest_bdd_before_scenario(request: pytest.FixtureRequest) -> None:
    """Let nobody in a scenario get around the ledger."""
    cast: Cast = request.getfixturevalue("cast")
    cast.ledger = request.getfixturevalue("ledger")


def pytest_bdd_before_step(request: pytest.FixtureRequest, step: Step) -> None:
    """Let each scenario remember what was stored before its When."""
    if step.type == "when":
        request.getfixturevalue("ledger").mark()


def pytest_bdd_after_step(request: pytest.FixtureRequest) -> None:
    """Hold what is stored against what was answered, whatever the step was."""
    request.getfixturevalue("ledger").settle()


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
