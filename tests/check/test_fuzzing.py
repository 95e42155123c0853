"""The running service against its own contract, as Schemathesis attacks it: with all its checks, stateful too."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.cluster import Cluster
from tests.support.fuzzing import USER
from tests.support.processes import serving
from tests.support.tokens import token

ROOT = Path(__file__).parents[2]
SCHEMATHESIS = str(Path(sys.executable).parent / "schemathesis")
EXAMPLES, SEED = os.environ.get("EXAMPLES", "10"), os.environ.get("SEED", "4711")
"""How many requests for each operation and phase (`make fuzz` wants more), and which."""
CONFIGURATION = """
hooks = "tests.support.fuzzing"
[checks]
# of a condition it depends on the task whether it holds
positive_data_acceptance.expected-statuses = ["2xx", "304", "401", "403", "404", "412"]
"""


@pytest.mark.parametrize("who", [USER, None])
@pytest.mark.usefixtures("database")
def test_it_keeps_its_own_contract(cluster: Cluster, who: str | None, tmp_path: Path) -> None:
    """No 5xx, no undocumented status, no answer that breaks its schema, whoever asks; what is valid is taken."""
    configuration = tmp_path / "schemathesis.toml"
    with serving(tmp_path, cluster.url) as service:
        contract = service.url + "/openapi.json"
        (scheme,) = httpx.get(contract).json()["components"]["securitySchemes"]
        bearer = f'[auth.openapi.{scheme}]\nbearer = "{token(who)}"\n' if who else ""
        configuration.write_text(CONFIGURATION + bearer)
        command = [SCHEMATHESIS, "--config-file", str(configuration), "run", contract, "--checks=all"]
        options = ["--continue-on-failure", f"--max-examples={EXAMPLES}", f"--seed={SEED}"]
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        ended = subprocess.run([*command, *options], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert ended.returncode == 0, ended.stdout + ended.stderr
