"""The steps about other people's lists and tasks, and about all that is stored of a person."""

from pathlib import Path

import httpx
from pytest_bdd import then, when
from sqlalchemy import Engine, make_url, text

from steps.answers import told
from steps.inputs import BAD_USERS, JSON, NEVER_EXISTED, TASK, UNREADABLE, WHOLE_TASK
from steps.vocabulary import ACTIONS, said
from tests.support.cluster import Cluster
from tests.support.people import Cast, Person, path_to
from tests.support.processes import todo_api

CHANGES_EVERY_TIME = {"x-request-id", "date"}


@then(said("{who:Person} is told {sentence:Quoted}, exactly as about a task that never existed"))
def is_told_as_about_nothing(cast: Cast, who: str, sentence: str) -> None:
    person = cast(who)
    told(person.answer, sentence)
    request = person.answer.request
    sent = ("if-match", "if-none-match", "content-type")
    conditions = {name: request.headers[name] for name in sent if name in request.headers}
    path = path_to(person, NEVER_EXISTED)
    about_nothing = person.send(request.method, path, content=request.content, headers=conditions)
    assert same_parts(person.answer) == same_parts(about_nothing)


def same_parts(answer: httpx.Response) -> tuple[object, ...]:
    """All of an answer but for the request's id and the time."""
    body = answer.json()
    del body["timestamp"]
    headers = [(name, value) for name, value in answer.headers.multi_items() if name not in CHANGES_EVERY_TIME]
    return answer.status_code, body, sorted(headers)


@when("the operator deletes all that is stored of somebody")
def deletes_all_of_somebody(somebody: Person, cluster: Cluster, folder: Path) -> None:
    delete_all(somebody, cluster, folder)
    somebody.ledger.settle()


@when(said("the operator deletes all that is stored of {who:Person}"))
def deletes_all(cast: Cast, cluster: Cluster, folder: Path, who: str) -> None:
    delete_all(cast(who), cluster, folder)


def delete_all(person: Person, cluster: Cluster, folder: Path) -> None:
    """Delete all that is stored of a person, with the operator's command."""
    # in the database's log it is not taken for the service, which opens no transaction
    url = make_url(cluster.url).update_query_dict({"application_name": "operator"})
    dsn = url.render_as_string(hide_password=False)
    deletion = todo_api(folder, "delete-user", person.user_id, DATABASE_URL=dsn)
    assert (deletion.returncode, deletion.stderr) == (0, "")
    person.ledger.forget(person.user_id)


@then(said("the Idempotency-Key {key:Quoted} of {who:Person}'s is still stored"))
def key_is_stored(cast: Cast, database: Engine, key: str, who: str) -> None:
    with database.connect() as connection:
        keys = connection.execute(text("SELECT user_id, key FROM idempotency_key")).all()
    assert (cast(who).user_id, key) in keys


@then(said("the database holds nothing of {who:Person}'s"))
def nothing_is_stored(cast: Cast, database: Engine, who: str) -> None:
    everything = "SELECT user_id FROM task UNION ALL SELECT user_id FROM idempotency_key"
    with database.connect() as connection:
        assert cast(who).user_id not in connection.execute(text(everything)).scalars().all()


CLAIMING = (
    "{who:Person} tries to change {owner:Person}'s task by its number in {_:Person}'s own list,"
    " claiming to have seen {version}"
)


@when(said(CLAIMING))
def tries_to_change_claiming_version(cast: Cast, who: str, owner: str, version: str) -> None:
    attempt_claiming_version(cast(who), "change a task", cast(owner), version)


CLAIMING_ELSEWHERE = (
    "{who:Person} tries to {action:Action} of {owner:Person}'s by its number in {_:Person}'s own list,"
    " claiming to have seen {version}"
)


@when(said(CLAIMING_ELSEWHERE))
def tries_claiming_version(cast: Cast, who: str, action: str, owner: str, version: str) -> None:
    attempt_claiming_version(cast(who), action, cast(owner), version)


def attempt_claiming_version(who: Person, action: str, owner: Person, version: str) -> None:
    """Try an action on the owner's only task by its number in one's own list."""
    latest = owner.ask("GET", path_to(owner, owner.task)).headers["etag"]
    tag = latest if version == "its latest version" else '"guess"'
    attempt(
        who, action, owner, in_list_of=who, headers={"If-None-Match" if action == "open a task" else "If-Match": tag}
    )


def path_to_nothing(user: str) -> str:
    """Where a task of this user's would be, had it ever existed."""
    return f"/api/{user}/tasks/{NEVER_EXISTED}"


def attempt(who: Person, action: str, owner: Person, in_list_of: Person, headers: dict[str, str] | None = None) -> None:
    """Try an action, on the owner's task if it needs one, through a person's list."""
    method, _, one = ACTIONS[action].partition(" ")
    path = path_to(in_list_of, owner.task if one else None)
    if action == "send an unreadable request":
        who.ask("POST", path, content=UNREADABLE, headers=JSON)
    elif action == "guess an address":
        who.ask("GET", f"{path}/no/such/address")
    else:
        body = {"POST": TASK, "PUT": WHOLE_TASK, "PATCH": {"complete": True}}.get(method)
        sent = {"json": body} if body else {}
        who.ask(method, path, headers=headers, **sent)


@when(said("{who:Person} tries to {action:Action} in {owner:Person}'s list"))
def tries_in_list_of(cast: Cast, who: str, action: str, owner: str) -> None:
    attempt(cast(who), action, cast(owner), in_list_of=cast(owner))


@when(said("{who:Person} tries to send an unreadable request to {owner:Person}'s list"))
def sends_unreadable_to(cast: Cast, who: str, owner: str) -> None:
    attempt(cast(who), "send an unreadable request", cast(owner), in_list_of=cast(owner))


@when(said("{who:Person} tries to {action:Action} of {owner:Person}'s by its number in {_:Person}'s own list"))
def tries_by_number_in_own_list(cast: Cast, who: str, action: str, owner: str) -> None:
    attempt(cast(who), action, cast(owner), in_list_of=cast(who))


@when(said("{who:Person} tries to {action:Action} in her list"))
def tries_in_own_list(cast: Cast, who: str, action: str) -> None:
    attempt(cast(who), action, cast(who), in_list_of=cast(who))


@when(said("{who:Person} tries to list the tasks at an address with {what} in the place of her id"))
def lists_tasks_of_nobody(cast: Cast, who: str, what: str) -> None:
    cast(who).ask("GET", f"/api/{BAD_USERS[what]}/tasks")
