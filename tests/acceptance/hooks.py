"""What a project tells the gate."""

import pytest

from tests.acceptance.coverage import Endpoint


@pytest.hookspec(firstresult=True)
def pytest_acceptance_endpoints(config: pytest.Config) -> list[Endpoint] | None:
    """List the endpoints, each of which must succeed in a scenario where a criterion has a coverage bar."""
