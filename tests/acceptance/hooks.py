"""What a project tells the gate."""

import pytest

from tests.acceptance.boundary import Lie
from tests.acceptance.coverage import Endpoint


@pytest.hookspec(firstresult=True)
def pytest_acceptance_endpoints(config: pytest.Config) -> list[Endpoint] | None:
    """List the endpoints, each of which must succeed in a scenario where a criterion has a coverage bar."""


@pytest.hookspec(firstresult=True)
def pytest_acceptance_lies(config: pytest.Config) -> list[Lie] | None:
    """List the lies that `--lies` tells, each of which a scenario must notice."""
