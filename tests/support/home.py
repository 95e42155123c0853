"""A key server, and a service that trusts it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from app.core.errors import KeysUnavailable
from tests.support import contract
from tests.support.cluster import Cluster
from tests.support.key_server import Key, KeyServer, key_server
from tests.support.service import Service, running_service, settings_for


@dataclass
class Home:
    """A key server, and a service that trusts it."""

    server: KeyServer
    service: Service
    client: httpx.Client

    def ask(self, bearer: str, user: str = "alice") -> httpx.Response:
        """List a user's tasks."""
        headers = [(b"authorization", f"Bearer {bearer}".encode("latin-1"))]
        answer = self.client.get(f"{self.service.url}/api/{user}/tasks", headers=headers)
        contract.hold(answer)
        return answer

    def token(self, key: Key, user: str = "alice", **others: Any) -> str:
        """Sign a token as the server's Better Auth would."""
        return key.token(self.server.url, user, **others)

    def status(self, key: Key, **others: Any) -> int:
        """Ask with a new token under a key."""
        return self.ask(self.token(key, **others)).status_code


@contextmanager
def home(cluster: Cluster, *keys: Key, path: str = "", **settings: Any) -> Iterator[Home]:
    """Run both, with both modes configured."""
    with ExitStack() as stack:
        server = stack.enter_context(key_server(*keys))
        chosen = settings_for(cluster.url, **{"better_auth_url": server.url + path} | settings)
        service = stack.enter_context(running_service(chosen))
        yield Home(server, service, stack.enter_context(httpx.Client(timeout=30)))


def unavailable(answer: httpx.Response) -> bool:
    """Whether the service says that it can't judge."""
    return answer.status_code == 500 and answer.json()["detail"] == KeysUnavailable.sentence
