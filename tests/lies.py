"""The lies of `make lies`: each breaks one promise at the boundary, and names the scenarios that must notice it.

A lie is a function whose docstring says what it breaks. It knows the specification, the tables and the tests' own
tokens, and nothing of the code behind. It changes a request, a response, a row, the clock of whoever waits, or a line
of the log.
"""

import html
import json
import re
import time
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import jwt

from tests.acceptance.boundary import Exchange, LogLine, lie, lie_in_log
from tests.support.tokens import token

ONE_TASK = re.compile(r"/api/([^/]+)/tasks/(\d+)")
LIST = re.compile(r"/api/([^/]+)/tasks")

Rows = list[dict[str, Any]]


# What a lie asks of an exchange


def owner_of(exchange: Exchange) -> str:
    """The person whose list the path is in."""
    return exchange.request.path.split("/")[2]


def id_of(exchange: Exchange) -> int:
    """The number of the task that the path names."""
    match = ONE_TASK.fullmatch(exchange.request.path)
    return int(match[2]) if match else 0


def is_list(exchange: Exchange) -> bool:
    """Whether a list was asked for and given."""
    asked = exchange.request.method == "GET" and LIST.fullmatch(exchange.request.path)
    return bool(asked) and exchange.response.status == 200


def is_task(exchange: Exchange, *methods: str) -> bool:
    """Whether one of these methods has succeeded, and its answer is a task."""
    is_asked = exchange.request.method in methods and exchange.request.path.startswith("/api/")
    return is_asked and exchange.response.status in {200, 201} and "id" in (exchange.response.json or {})


def is_api(exchange: Exchange) -> bool:
    """Whether the request is for the API, and no preflight."""
    return exchange.request.path.startswith("/api/") and exchange.request.method != "OPTIONS"


def asks_for(exchange: Exchange, method: str, *fields: str) -> bool:
    """Whether the request is of this method, and its body an object with these fields."""
    body = exchange.request.json
    return exchange.request.method == method and isinstance(body, dict) and body.keys() >= set(fields)


def claims_of(exchange: Exchange) -> dict[str, Any]:
    """The claims of the request's token, good or not; none where there is no token."""
    bearer = exchange.request.headers.get("authorization", "").removeprefix("Bearer ")
    try:
        claims: dict[str, Any] = jwt.decode(bearer, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return {}
    return claims


def header_of(exchange: Exchange) -> dict[str, Any]:
    """The header of the request's token, good or not; empty where there is no token."""
    bearer = exchange.request.headers.get("authorization", "").removeprefix("Bearer ")
    try:
        return jwt.get_unverified_header(bearer)
    except jwt.InvalidTokenError:
        return {}


def query_of(exchange: Exchange) -> list[str]:
    """The parts of the request's query."""
    return [part for part in exchange.request.query.split("&") if part]


# What a lie does to one


def tasks(exchange: Exchange) -> Rows:
    """Everybody's rows, oldest first."""
    return exchange.sql("SELECT * FROM task ORDER BY id")


def update(exchange: Exchange, id_: int, **fields: Any) -> None:
    """Change columns of a task's row."""
    columns = ", ".join(f"{name} = :{name}" for name in fields)
    exchange.sql(f"UPDATE task SET {columns} WHERE id = :id_", id_=id_, **fields)  # noqa: S608 - names of this file


def put_back(exchange: Exchange, rows: Rows) -> None:
    """Make rows what they were, and bring back those that are gone."""
    for row in rows:
        exchange.sql("DELETE FROM task WHERE user_id = :user_id AND id = :id", **row)
        insert(exchange, row)


def insert_again(exchange: Exchange) -> None:
    """Insert the task that the answer shows a second time."""
    task = exchange.response.json
    exchange.sql(
        "INSERT INTO task (user_id, title) VALUES (:user_id, :title)", user_id=task["user_id"], title=task["title"]
    )


def insert(exchange: Exchange, row: dict[str, Any]) -> None:
    """Insert a row with the number that it says."""
    exchange.sql(
        "INSERT INTO task (user_id, id, title, description, complete, created_at, updated_at) OVERRIDING SYSTEM VALUE"
        " VALUES (:user_id, :id, :title, :description, :complete, :created_at, :updated_at)",
        **row,
    )


def edit(exchange: Exchange, **fields: Any) -> None:
    """Change fields of the response's object."""
    exchange.response.json = exchange.response.json | fields


def edit_task(exchange: Exchange, **fields: Any) -> None:
    """Change fields of the task in the response, and of its row too: the answer and the database agree on the lie."""
    update(exchange, exchange.response.json["id"], **fields)
    edit(exchange, **fields)


def say(exchange: Exchange, detail: str) -> None:
    """Change what a refusal says, in all its words."""
    body = exchange.response.json
    for error in body.get("errors", []):
        error["msg"] = detail
    exchange.response.json = body | {"detail": detail}


def refuse(exchange: Exchange, status: int, code: str, detail: str) -> None:
    """Make a refusal of the response, in the usual envelope."""
    body: dict[str, Any] = {"detail": detail, "error_code": code}
    body["timestamp"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if status == 422:
        body["errors"] = [{"loc": ["body"], "msg": detail, "type": "value_error"}]
    for name in ("etag", "link", "location", "www-authenticate", "retry-after"):
        exchange.response.headers.pop(name, None)
    if status == 401:
        challenge = "Bearer" if code == "AUTH_MISSING" else 'Bearer error="invalid_token"'
        exchange.response.headers["www-authenticate"] = challenge
    exchange.response.status = status
    exchange.response.headers["content-type"] = "application/json"
    exchange.response.json = body


def sign_in_as(exchange: Exchange, user: str) -> None:
    """Give the request a good token in place of what it has."""
    exchange.request.headers["authorization"] = f"Bearer {token(user)}"


def drop_header(exchange: Exchange, name: str) -> None:
    """Take a header out of the response, where it has one."""
    exchange.response.headers.pop(name, None)


# A refusal that is none


@lie("Bob can't change a task in Alice's list")
def forbidden_change_completes_everything(exchange: Exchange) -> None:
    """A change in another's list is refused, and completes and re-describes all of the owner's tasks."""
    if exchange.request.method == "PATCH" and exchange.response.status == 403:
        exchange.sql(
            "UPDATE task SET complete = true, description = 'changed' WHERE user_id = :owner", owner=owner_of(exchange)
        )


@lie("Bob can't change a task of Alice's by its number in Bob's own list")
def hidden_change_is_made(exchange: Exchange) -> None:
    """A change of another's task is answered as one of no task, and completes it all the same."""
    if exchange.request.method == "PATCH" and exchange.response.status == 404:
        exchange.sql("UPDATE task SET complete = true WHERE id = :id", id=id_of(exchange))


@lie("A list can't be deleted as a whole")
def refused_deletion_of_the_list_completes_everything(exchange: Exchange) -> None:
    """Deleting the whole list is refused, and completes every task."""
    if exchange.request.method == "DELETE" and exchange.response.status == 405:
        exchange.sql("UPDATE task SET complete = true")


@lie(
    "Replacing a task with one that has the state left out is refused",
    "Changing a task to have a title without characters is refused",
)
def invalid_change_touches_the_task(exchange: Exchange) -> None:
    """A change that breaks a rule is refused, and moves the time of the task's last change."""
    if exchange.response.status == 422 and exchange.request.method in {"PUT", "PATCH"}:
        exchange.sql("UPDATE task SET updated_at = now() + interval '1 second' WHERE id = :id", id=id_of(exchange))


@lie("A new task with a title without characters is refused")
def invalid_task_is_created(exchange: Exchange) -> None:
    """A new task that breaks a rule is refused, and stands on another's list."""
    if exchange.request.method == "POST" and exchange.response.status == 422:
        exchange.sql("INSERT INTO task (user_id, title) VALUES ('bob', 'untitled')")


@lie("A stranger can't delete a task", "A token that expired 11 seconds ago is refused")
def refused_stranger_deletes(exchange: Exchange) -> None:
    """Whoever is told to sign in has reopened the task that they asked for, or described all of the list."""
    if exchange.response.status == 401:
        exchange.sql(
            "UPDATE task SET description = 'seen by a stranger' WHERE user_id = :owner", owner=owner_of(exchange)
        )


@lie("A tab that has not seen the latest change can't replace the task")
def outdated_tab_describes(exchange: Exchange) -> None:
    """A tab that has not seen the latest change is told so, and what it sent is stored as the description."""
    if exchange.response.status == 412:
        exchange.sql("UPDATE task SET description = 'of the second tab' WHERE id = :id", id=id_of(exchange))


@lie("A request of one byte more than allowed is too large")
def too_large_request_is_half_stored(exchange: Exchange) -> None:
    """A request that is too large is refused, and its beginning is stored."""
    if exchange.response.status == 413:
        exchange.sql("INSERT INTO task (user_id, title) VALUES ('bob', 'Buy m')")


@lie("A task that never existed can't be opened", "A list with a misspelt filter is refused")
def refused_look_completes(exchange: Exchange) -> None:
    """Looking at what is not there, or listing with a wrong filter, completes every task."""
    if exchange.request.method == "GET" and exchange.response.status in {404, 422}:
        exchange.sql("UPDATE task SET complete = true")


# Answered, and not stored


@lie("A completed task is done", "A changed task is changed in the database when it is confirmed")
def completing_is_not_stored(exchange: Exchange) -> Iterator[None]:
    """Completing is answered and not stored."""
    before = tasks(exchange)
    yield
    if is_task(exchange, "PATCH") and asks_for(exchange, "PATCH", "complete"):
        put_back(exchange, before)


@lie("A reopened task is open again")
def reopening_is_not_stored(exchange: Exchange) -> Iterator[None]:
    """Reopening is answered and not stored."""
    before = tasks(exchange)
    yield
    if is_task(exchange, "PATCH") and exchange.response.json["complete"] is False:
        put_back(exchange, before)


@lie("A new description keeps the title", "A description can be cleared")
def describing_is_not_stored(exchange: Exchange) -> Iterator[None]:
    """A new description, or none, is answered and not stored."""
    before = tasks(exchange)
    yield
    if is_task(exchange, "PATCH") and asks_for(exchange, "PATCH", "description"):
        put_back(exchange, before)


@lie("The new text and state take the place of the old")
def replacing_is_not_stored(exchange: Exchange) -> Iterator[None]:
    """Replacing is answered and not stored."""
    before = tasks(exchange)
    yield
    if is_task(exchange, "PUT"):
        put_back(exchange, before)


@lie("Only the deleted task leaves the list", "A deleted task is gone from the database when it is confirmed")
def deleting_is_not_stored(exchange: Exchange) -> Iterator[None]:
    """Deleting is confirmed, and the task is still there."""
    before = tasks(exchange)
    yield
    if exchange.response.status == 204:
        put_back(exchange, before)


@lie("A task needs no more than a title", "A created task is in the database when it is confirmed")
def creating_is_not_stored(exchange: Exchange) -> None:
    """A new task is confirmed and not stored."""
    if is_task(exchange, "POST"):
        exchange.sql("DELETE FROM task WHERE id = :id", id=exchange.response.json["id"])


@lie("A task can have a description", "A created task is in the database when it is confirmed")
def new_task_is_stored_as_done(exchange: Exchange) -> None:
    """A new task is answered as open, and stored as done."""
    if is_task(exchange, "POST"):
        exchange.sql("UPDATE task SET complete = true WHERE id = :id", id=exchange.response.json["id"])


@lie("A task can have a description")
def new_description_is_not_stored(exchange: Exchange) -> None:
    """The description of a new task is answered and not stored."""
    if is_task(exchange, "POST"):
        exchange.sql("UPDATE task SET description = NULL WHERE id = :id", id=exchange.response.json["id"])


@lie("Tasks are still there after the database has crashed", "A task can be created after the database was restarted")
def confirmed_task_is_lost(exchange: Exchange) -> Iterator[None]:
    """A task that was confirmed is gone when the list is looked at."""
    if exchange.request.method == "GET" and LIST.fullmatch(exchange.request.path):
        exchange.sql("DELETE FROM task WHERE id = (SELECT max(id) FROM task)")
    yield


# Something else is changed too


@lie("Only the deleted task leaves the list")
def deleting_completes_the_others(exchange: Exchange) -> None:
    """Deleting a task completes the others."""
    if exchange.response.status == 204:
        exchange.sql("UPDATE task SET complete = true")


@lie("Other tasks stay as they were", "A completed task is done")
def change_touches_the_others(exchange: Exchange) -> None:
    """A change describes another person's task, or another one of the person's own."""
    if is_task(exchange, "PATCH"):
        id_ = exchange.response.json["id"]
        exchange.sql("INSERT INTO task (user_id, title) VALUES ('bob', 'Call Mum')")
        exchange.sql("UPDATE task SET description = 'touched' WHERE id <> :id", id=id_)


@lie("A task shows all its details")
def looking_touches_the_task(exchange: Exchange) -> None:
    """Looking at a task moves the time of its last change."""
    if is_task(exchange, "GET"):
        exchange.sql("UPDATE task SET updated_at = now() + interval '1 second' WHERE id = :id", id=id_of(exchange))


@lie("The newest task comes first")
def listing_completes_the_oldest(exchange: Exchange) -> None:
    """Listing completes the oldest task, after it is shown as open."""
    if is_list(exchange):
        exchange.sql("UPDATE task SET complete = true WHERE id = (SELECT min(id) FROM task)")


@lie("A task needs no more than a title")
def new_task_comes_twice(exchange: Exchange) -> None:
    """A new task is stored twice."""
    if is_task(exchange, "POST"):
        insert_again(exchange)


# Other values than were sent; the answer and the row agree


@lie("A description that is left out is removed")
def replacing_keeps_the_description(exchange: Exchange) -> Iterator[None]:
    """Replacing a task keeps a description that is left out."""
    before = {row["id"]: row for row in tasks(exchange)}
    yield
    if is_task(exchange, "PUT") and not asks_for(exchange, "PUT", "description"):
        edit_task(exchange, description=before[id_of(exchange)]["description"])


@lie("The new text and state take the place of the old")
def replacing_never_completes(exchange: Exchange) -> None:
    """Replacing a task with one that is done leaves it open."""
    if is_task(exchange, "PUT"):
        edit_task(exchange, complete=False)


@lie("A new title keeps the description")
def changing_the_title_clears_the_description(exchange: Exchange) -> None:
    """A new title costs the description."""
    if is_task(exchange, "PATCH") and not asks_for(exchange, "PATCH", "description"):
        edit_task(exchange, description=None)


@lie("A new description keeps the title")
def changing_the_description_completes(exchange: Exchange) -> None:
    """A new description completes the task."""
    if is_task(exchange, "PATCH") and not asks_for(exchange, "PATCH", "complete"):
        edit_task(exchange, complete=True)


@lie("A completed task is done")
def completing_clears_the_description(exchange: Exchange) -> None:
    """Completing a task costs its description."""
    if is_task(exchange, "PATCH"):
        edit_task(exchange, description=None)


@lie("A description can be cleared")
def cleared_description_is_empty_text(exchange: Exchange) -> None:
    """A description that is cleared is an empty text."""
    if is_task(exchange, "PATCH") and exchange.response.json["description"] is None:
        edit_task(exchange, description="")


@lie("A new task with a description without characters is accepted")
def empty_description_is_none(exchange: Exchange) -> None:
    """An empty description is taken for none."""
    if is_task(exchange, "POST") and exchange.response.json["description"] == "":
        edit_task(exchange, description=None)


@lie("A new task with a title of 200 characters is accepted", "A new task with a title of 200 emoji is accepted")
def title_is_cut(exchange: Exchange) -> None:
    """A title is cut after 199 characters."""
    if is_task(exchange, "POST"):
        edit_task(exchange, title=exchange.response.json["title"][:199])


@lie("A new task with a description of 1,000 characters is accepted")
def description_is_cut(exchange: Exchange) -> None:
    """A description is cut after 999 characters."""
    if is_task(exchange, "POST"):
        edit_task(exchange, description=exchange.response.json["description"][:999])


@lie("Spaces around a title are removed, and around a description they are kept")
def title_is_not_stripped(exchange: Exchange) -> None:
    """A title keeps the spaces around it."""
    if is_task(exchange, "POST"):
        edit_task(exchange, title=exchange.request.json["title"])


@lie("Spaces around a title are removed, and around a description they are kept")
def description_is_stripped(exchange: Exchange) -> None:
    """A description loses the spaces around it."""
    if is_task(exchange, "POST"):
        edit_task(exchange, description=exchange.response.json["description"].strip())


@lie("A title may be in any language, and have emoji in it")
def title_becomes_ascii(exchange: Exchange) -> None:
    """What is not ASCII in a title becomes question marks."""
    if is_task(exchange, "POST"):
        edit_task(exchange, title=exchange.response.json["title"].encode("ascii", "replace").decode())


@lie("A task needs no more than a title", "Every task on the list shows all its details")
def task_is_anothers_in_the_answer(exchange: Exchange) -> None:
    """The answer says that a task is Bob's."""
    body = exchange.response.json
    if is_task(exchange, "POST"):
        exchange.response.json = body | {"user_id": "bob"}
    elif is_list(exchange):
        exchange.response.json = body | {"tasks": [task | {"user_id": "bob"} for task in body["tasks"]]}


@lie("A created task is in the database when it is confirmed")
def new_task_is_stored_as_anothers(exchange: Exchange) -> None:
    """A new task is stored on another's list."""
    if is_task(exchange, "POST"):
        exchange.sql("UPDATE task SET user_id = 'bob' WHERE id = :id", id=exchange.response.json["id"])


@lie("Numbers only rise, so that a deleted task's number is never used again")
def number_is_used_again(exchange: Exchange) -> Iterator[None]:
    """A new task gets the number of one that was deleted."""
    before = [row["id"] for row in tasks(exchange)]
    yield
    if exchange.response.status == 204:
        exchange.memory["number"] = before[0]
    if is_task(exchange, "POST") and "number" in exchange.memory:
        (row,) = exchange.sql("SELECT * FROM task WHERE id = :id", id=exchange.response.json["id"])
        exchange.sql("DELETE FROM task WHERE id = :id", id=row["id"])
        number = exchange.memory.pop("number")
        insert(exchange, row | {"id": number})
        edit(exchange, id=number)
        exchange.response.headers["location"] = f"{exchange.request.path}/{number}"


# Times


@lie(
    "The time of the last change moves forward, and the time of creation stays",
    "Completing a task that is done changes nothing but the time of its last change",
)
def time_of_change_stays(exchange: Exchange) -> Iterator[None]:
    """A change does not move the time of the last change."""
    before = {row["id"]: row for row in tasks(exchange)}
    yield
    if is_task(exchange, "PATCH"):
        set_time(exchange, "updated_at", before[id_of(exchange)]["updated_at"])


@lie("Changing a title to what it is already moves the time of the last change")
def time_stays_where_nothing_differs(exchange: Exchange) -> Iterator[None]:
    """A change that changes nothing does not move the time of the last change."""
    before = {row["id"]: row for row in tasks(exchange)}
    yield
    if is_task(exchange, "PATCH"):
        old = before[id_of(exchange)]
        if exchange.response.json["title"] == old["title"]:
            set_time(exchange, "updated_at", old["updated_at"])


@lie("The time of the last change moves forward, and the time of creation stays")
def time_of_creation_moves(exchange: Exchange) -> None:
    """A change moves the time of the creation too."""
    if is_task(exchange, "PATCH"):
        (row,) = exchange.sql("SELECT * FROM task WHERE id = :id", id=id_of(exchange))
        set_time(exchange, "created_at", row["updated_at"])


@lie("The time of the last change moves forward, and the time of creation stays", "A task shows all its details")
def times_are_swapped(exchange: Exchange) -> None:
    """The answer has the two times of a task in each other's place."""
    if is_task(exchange, "PATCH", "GET"):
        exchange.sql("UPDATE task SET created_at = created_at - interval '1 minute' WHERE id = :id", id=id_of(exchange))
        body = exchange.response.json
        edit(exchange, created_at=body["updated_at"], updated_at=body["created_at"])


@lie("The database notes when a task was created")
def task_was_created_an_hour_ago(exchange: Exchange) -> None:
    """A new task is an hour old."""
    if is_task(exchange, "POST"):
        (row,) = exchange.sql("SELECT created_at - interval '1 hour' AS time FROM task")
        set_time(exchange, "created_at", row["time"])
        set_time(exchange, "updated_at", row["time"])


@lie("The time of the last change moves forward, and the time of creation stays")
def times_are_cut_to_seconds(exchange: Exchange) -> None:
    """The answer cuts times to whole seconds."""
    if is_task(exchange, "PATCH"):
        body = exchange.response.json
        edit(exchange, updated_at=body["updated_at"][:19] + ".000000Z")


def set_time(exchange: Exchange, name: str, value: Any) -> None:
    """Change a time of the task in the response and of its row, and the ETag with it."""
    update(exchange, exchange.response.json["id"], **{name: value})
    edit(exchange, **{name: f"{value:%Y-%m-%dT%H:%M:%S.%fZ}"})
    exchange.response.headers["etag"] = f'"{exchange.response.json["updated_at"]}"'


# Bad input that is taken all the same


@lie("A new task with a misspelt field is refused", "Replacing a task with one that has a misspelt field is refused")
def unknown_field_is_dropped(exchange: Exchange) -> Iterator[None]:
    """A field that is not known is dropped silently."""
    body = exchange.request.json
    if isinstance(body, dict):
        known = {name: value for name, value in body.items() if name in {"title", "description", "complete"}}
        if known != body:
            exchange.request.json = known
    yield


@lie("A new task with an owner given by Alice is refused", "Changing a task to have an owner given by Alice is refused")
def owner_in_the_body_counts(exchange: Exchange) -> Iterator[None]:
    """A task goes to the person whom the body names."""
    body = exchange.request.json
    owner = body.pop("user_id", None) if isinstance(body, dict) else None
    if owner:
        exchange.request.json = body or {"complete": False}
    yield
    if owner and is_task(exchange, "POST", "PATCH"):
        exchange.sql("UPDATE task SET user_id = :owner WHERE id = :id", owner=owner, id=exchange.response.json["id"])


@lie(
    'Replacing a task with one that has a state of "yes" is refused',
    "Replacing a task with one that has a state that is a number is refused",
    'Changing a task to have a state of "yes" is refused',
)
def state_is_coerced(exchange: Exchange) -> Iterator[None]:
    """The word "yes" and the number 1 are taken for done."""
    body = exchange.request.json
    state = body.get("complete") if isinstance(body, dict) else None
    if state == "yes" or (state == 1 and state is not True):
        exchange.request.json = body | {"complete": True}
    yield


@lie("A new task with a title that is a number is refused")
def number_is_taken_for_a_title(exchange: Exchange) -> Iterator[None]:
    """A number is taken for a title."""
    body = exchange.request.json
    if isinstance(body, dict) and isinstance(body.get("title"), int):
        exchange.request.json = body | {"title": str(body["title"])}
    yield


@lie(
    "A new task with a title of 201 characters is refused",
    "A new task with a description of 1,001 characters is refused",
    "Replacing a task with one that has a description of 1,001 characters is refused",
    "Changing a task to have a title of 201 characters is refused",
)
def long_text_is_cut(exchange: Exchange) -> Iterator[None]:
    """Text that is too long is cut and taken."""
    body = exchange.request.json
    if isinstance(body, dict):
        limits = {"title": 200, "description": 1000}
        exchange.request.json = body | {
            name: body[name][:most] for name, most in limits.items() if isinstance(body.get(name), str)
        }
    yield


@lie(
    "A new task with a title with an invisible NUL character is refused",
    "A new task with a description with an invisible NUL character is refused",
)
def nul_is_dropped(exchange: Exchange) -> Iterator[None]:
    """NUL characters are dropped silently."""
    exchange.request.body = exchange.request.body.replace(b"\\u0000", b"")
    yield


@lie("A new task with a title with a broken character is refused")
def half_an_emoji_is_a_failure(exchange: Exchange) -> None:
    """Half an emoji ends in a failure of the service."""
    if exchange.response.status == 422 and b"\\ud800" in exchange.request.body:
        refuse(exchange, 500, "INTERNAL_ERROR", "Something went wrong; please try again later.")


@lie("A new task with two titles is refused", "Replacing a task with one that has two states is refused")
def last_of_two_keys_counts(exchange: Exchange) -> Iterator[None]:
    """Of a field that is there twice, the last one counts."""
    if exchange.request.json is not None:
        exchange.request.json = exchange.request.json
    yield


@lie("A new task sent as plain text is refused", "A new task sent as JSON that is not called JSON is refused")
def content_type_is_ignored(exchange: Exchange) -> Iterator[None]:
    """Whatever its content type, a body is read as JSON."""
    if exchange.request.body:
        exchange.request.headers["content-type"] = "application/json"
    yield


@lie("A request of one byte more than allowed is too large")
def large_request_is_read(exchange: Exchange) -> Iterator[None]:
    """A request over the limit is read."""
    exchange.request.body = exchange.request.body.strip()
    yield


@lie("A request of exactly 64 KiB is accepted")
def limit_is_a_byte_less(exchange: Exchange) -> None:
    """A request of exactly 64 KiB is too large."""
    if len(exchange.request.body) == 64 * 1024:
        exchange.sql("DELETE FROM task")
        refuse(exchange, 413, "VALIDATION_ERROR", "The body must have at most 64 KiB.")


@lie("A change that says nothing of what to change is refused")
def change_of_nothing_succeeds(exchange: Exchange) -> Iterator[None]:
    """A change of nothing succeeds, and answers with the task."""
    if exchange.request.method == "PATCH" and exchange.request.json == {}:
        exchange.request.method = "GET"
    yield


@lie("A list with a misspelt filter is refused")
def unknown_filter_is_ignored(exchange: Exchange) -> Iterator[None]:
    """A filter that is not known is ignored."""
    known = ("complete=", "limit=", "offset=", "after=")
    exchange.request.query = "&".join(part for part in query_of(exchange) if part.startswith(known))
    yield


@lie("A list with the same limit twice is refused")
def last_of_two_limits_counts(exchange: Exchange) -> Iterator[None]:
    """Of two limits the last one counts."""
    exchange.request.query = "&".join(dict.fromkeys(query_of(exchange)))
    yield


@lie("A list with a limit of 501 is refused", "A list with a limit of zero is refused")
def limit_is_brought_into_its_range(exchange: Exchange) -> Iterator[None]:
    """A limit out of its range is taken for the nearest one."""
    exchange.request.query = exchange.request.query.replace("limit=501", "limit=500").replace("limit=0", "limit=1")
    yield


@lie("0 is not a task's number", "1.0 is not a task's number", "1_0 is not a task's number")
def what_is_no_number_is_not_found(exchange: Exchange) -> None:
    """What is not a task's number is a task that does not exist."""
    if exchange.response.status == 422 and not exchange.request.body:
        refuse(exchange, 404, "NOT_FOUND", "There is nothing at this address.")


# Lists


@lie("The newest task comes first")
def order_is_reversed(exchange: Exchange) -> None:
    """The oldest task comes first."""
    if is_list(exchange):
        edit(exchange, tasks=exchange.response.json["tasks"][::-1])


@lie("I get the 500 newest tasks if I don't say how many I want")
def total_is_of_the_page(exchange: Exchange) -> None:
    """The total is the length of the page."""
    if is_list(exchange):
        edit(exchange, count=len(exchange.response.json["tasks"]))


@lie(
    "Only the tasks that are open are listed when I ask for them",
    "Only the tasks that are done are listed when I ask for them",
)
def total_ignores_the_filter(exchange: Exchange) -> None:
    """The total counts tasks of the other state too."""
    if is_list(exchange):
        (row,) = exchange.sql("SELECT count(*) AS count FROM task WHERE user_id = :owner", owner=owner_of(exchange))
        edit(exchange, count=row["count"])


@lie("Each list holds its owner's tasks alone")
def total_is_of_everybody(exchange: Exchange) -> None:
    """The total counts everybody's tasks."""
    if is_list(exchange):
        edit(exchange, count=len(tasks(exchange)))


@lie(
    "Only the tasks that are done are listed when I ask for them",
    "Only the tasks that are open are listed when I ask for them",
)
def filter_is_ignored(exchange: Exchange) -> Iterator[None]:
    """A list of one state has all tasks."""
    exchange.request.query = "&".join(part for part in query_of(exchange) if not part.startswith("complete="))
    yield


@lie("The pages of what is done hold nothing else")
def link_forgets_the_filter(exchange: Exchange) -> None:
    """The link to the next page leads to tasks of either state."""
    if "link" in exchange.response.headers:
        link = exchange.response.headers["link"]
        exchange.response.headers["link"] = re.sub(r"complete=\w+&?", "", link)


@lie("A list of 5 tasks, 2 to a page, ends on page 3")
def link_forgets_the_limit(exchange: Exchange) -> None:
    """The link to the next page leads to all that remain."""
    if "link" in exchange.response.headers:
        exchange.response.headers["link"] = re.sub(r"limit=\d+&?", "", exchange.response.headers["link"])


@lie("I get the 500 newest tasks if I don't say how many I want", "A list of 5 tasks, 2 to a page, ends on page 3")
def there_is_no_link(exchange: Exchange) -> None:
    """There is no link to the next page."""
    drop_header(exchange, "link")


@lie("A list of just 500 tasks has no next page", "A list of 4 tasks, 2 to a page, ends on page 2")
def last_page_has_a_link(exchange: Exchange) -> None:
    """The last page has a link to one more, which is empty."""
    if is_list(exchange) and exchange.response.json["tasks"] and "link" not in exchange.response.headers:
        last = exchange.response.json["tasks"][-1]["id"]
        exchange.response.headers["link"] = f'<{exchange.request.path}?limit=2&after={last}>; rel="next"'


@lie("I get the 500 newest tasks if I don't say how many I want")
def link_names_a_host(exchange: Exchange) -> None:
    """The link to the next page names the host that the service believes to have."""
    if "link" in exchange.response.headers:
        exchange.response.headers["link"] = exchange.response.headers["link"].replace("</", "<http://testserver/")


@lie(
    "A task added while I page does not push another one off its page",
    "A task deleted while I page takes no other one with it",
)
def pages_go_by_their_number(exchange: Exchange) -> None:
    """The link to the next page counts tasks from the start, so that a new task, or one that is gone, shifts them."""
    if "link" in exchange.response.headers:
        exchange.response.headers["link"] = f'<{exchange.request.path}?limit=2&offset=2>; rel="next"'


@lie("A list of 5 tasks, 2 to a page, ends on page 3")
def page_has_one_too_many(exchange: Exchange) -> None:
    """A page has the first task of the next one too."""
    if is_list(exchange) and "link" in exchange.response.headers:
        page = exchange.response.json["tasks"]
        rows = exchange.sql("SELECT * FROM task WHERE id < :last ORDER BY id DESC LIMIT 1", last=page[-1]["id"])
        edit(exchange, tasks=[*page, page[-1] | {"id": rows[0]["id"], "title": rows[0]["title"]}])


@lie("A list of 5 tasks, 2 to a page, ends on page 3")
def page_misses_a_task(exchange: Exchange) -> None:
    """The second page misses its first task."""
    if is_list(exchange) and "after=" in exchange.request.query:
        edit(exchange, tasks=exchange.response.json["tasks"][1:])


@lie("I get the 500 newest tasks if I don't say how many I want")
def page_holds_a_hundred(exchange: Exchange) -> Iterator[None]:
    """A page holds a hundred tasks where nobody says how many."""
    if not exchange.request.query:
        exchange.request.query = "limit=100"
    yield


@lie("I can skip the first tasks of the list")
def nothing_is_skipped(exchange: Exchange) -> Iterator[None]:
    """A list starts at its first task, however many are to be skipped."""
    exchange.request.query = re.sub(r"offset=\d+", "offset=0", exchange.request.query)
    yield


@lie("I can skip the first tasks of the list")
def total_leaves_out_what_is_skipped(exchange: Exchange) -> None:
    """The total leaves out the tasks that are skipped."""
    if is_list(exchange) and "offset=" in exchange.request.query:
        edit(exchange, count=exchange.response.json["count"] - 1)


@lie("Every task on the list shows all its details")
def list_leaves_descriptions_out(exchange: Exchange) -> None:
    """A list shows no descriptions."""
    if is_list(exchange):
        edit(exchange, tasks=[task | {"description": None} for task in exchange.response.json["tasks"]])


@lie("The newest task comes first", "Every task on the list shows all its details")
def list_has_old_times(exchange: Exchange) -> None:
    """A list shows the time of creation as that of the last change, an hour early."""
    if is_list(exchange):
        listed = exchange.response.json["tasks"]
        edit(exchange, tasks=[task | {"created_at": "2020-01-01T00:00:00.000000Z"} for task in listed])


@lie("A person without tasks sees an empty list")
def empty_list_is_not_found(exchange: Exchange) -> None:
    """An empty list is answered as one that does not exist."""
    if is_list(exchange) and exchange.response.json["count"] == 0:
        refuse(exchange, 404, "NOT_FOUND", "There is nothing at this address.")


@lie("Each list holds its owner's tasks alone")
def anothers_task_is_listed(exchange: Exchange) -> None:
    """A list shows another person's task as its owner's."""
    if is_list(exchange):
        page = exchange.response.json["tasks"]
        others = exchange.sql("SELECT * FROM task WHERE user_id <> :owner LIMIT 1", owner=owner_of(exchange))
        edit(exchange, tasks=[page[0] | {"id": others[0]["id"], "title": others[0]["title"]}, *page])


# What people are told


@lie(
    "A new task with a title of 201 characters is refused",
    "Changing a task to have a title without characters is refused",
)
def every_broken_rule_is_42(exchange: Exchange) -> None:
    """Whatever rule is broken, the answer is "42"."""
    if exchange.response.status == 422:
        say(exchange, "42")


@lie(
    "A new task with a title of 201 characters is refused",
    "Replacing a task with one that has the state left out is refused",
)
def only_the_field_is_named(exchange: Exchange) -> None:
    """The answer names the field, and a rule that is not the one that was broken."""
    if exchange.response.status == 422:
        field = exchange.response.json["errors"][0]["loc"][-1]
        body = exchange.response.json
        body["errors"][0]["msg"] = "must be 42"
        exchange.response.json = body | {"detail": f"{field}: must be 42"}


@lie("A new task with a title without characters is refused")
def another_field_is_blamed(exchange: Exchange) -> None:
    """The list of errors names another field than the sentence."""
    if exchange.response.status == 422:
        body = exchange.response.json
        body["errors"][0]["loc"] = ["body", "description"]
        exchange.response.json = body


@lie("A list with a limit of 501 is refused", "0 is not a task's number")
def sentence_ends_in_an_explanation(exchange: Exchange) -> None:
    """A refusal adds a word on how the service is made."""
    if exchange.response.status == 422:
        say(exchange, exchange.response.json["detail"] + " (pydantic)")


@lie("A new task sent as broken JSON is refused")
def unreadable_request_is_called_names(exchange: Exchange) -> None:
    """Who sends what can't be read is told something rude."""
    if exchange.response.status == 400:
        say(exchange, "Learn to type.")


@lie("A change that says nothing of what to change is refused")
def nothing_to_change_is_unreadable(exchange: Exchange) -> None:
    """A change of nothing is told to be unreadable."""
    if exchange.response.status == 400:
        say(exchange, "The request can't be read; there is nothing to change about that.")


@lie("A request of ten megabytes is too large")
def limit_is_told_wrongly(exchange: Exchange) -> None:
    """Who sends too much is told another limit."""
    if exchange.response.status == 413:
        say(exchange, "The body must have at most 64 MiB.")


@lie("A list can't be deleted as a whole")
def what_is_supported_is_not_told(exchange: Exchange) -> None:
    """Who asks for what is not supported is told what is, wrongly."""
    if exchange.response.status == 405:
        exchange.response.headers["allow"] = "DELETE, GET, POST"


@lie("A list can't be deleted as a whole", "An address outside the lists, where there is nothing, is told as such")
def sentence_is_empty(exchange: Exchange) -> None:
    """A refusal says no more than a dot."""
    if exchange.response.status in {404, 405}:
        say(exchange, ".")


@lie(
    "Bob can't open a task of Alice's by its number in Bob's own list",
    "Alice can't open a task of Bob's by its number in Alice's own list",
)
def anothers_task_is_told_by_its_owner(exchange: Exchange) -> None:
    """Who asks for another's task under their own path is told whose it is."""
    if exchange.response.status == 404:
        for row in exchange.sql("SELECT user_id FROM task WHERE id = :id", id=id_of(exchange)):
            say(exchange, f"This task is {row['user_id']}'s.")


@lie("Bob can't open a task of Alice's by its number in Bob's own list")
def anothers_task_has_a_header(exchange: Exchange) -> None:
    """An answer about another's task differs in a header from one about no task."""
    if exchange.response.status == 404 and exchange.sql("SELECT 1 FROM task WHERE id = :id", id=id_of(exchange)):
        exchange.response.headers["vary"] = "Authorization"


@lie("Bob can't change Alice's task by claiming to have seen another version")
def version_of_anothers_task_is_compared(exchange: Exchange) -> None:
    """Who names a version of another's task is told that it has changed, and so that it is there."""
    if exchange.response.status == 404 and "if-match" in exchange.request.headers:
        refuse(exchange, 412, "VALIDATION_ERROR", "The task has changed.")


@lie("A task that was deleted can't be opened", "A task can be deleted only once")
def deleted_task_is_remembered(exchange: Exchange) -> None:
    """Who asks for a task that was deleted is told so, unlike for one that never existed."""
    if exchange.response.status == 404:
        say(exchange, "This task has been deleted.")


@lie("Bob can't list the tasks in Alice's list")
def owner_of_a_list_is_told(exchange: Exchange) -> None:
    """Who asks for another's list is told how many tasks it has."""
    if exchange.response.status == 403:
        say(exchange, f"These {len(tasks(exchange))} tasks are {owner_of(exchange)}'s.")


@lie("A token that expired 11 seconds ago is refused", "A token that is signed with another secret is refused")
def reason_is_told_to_the_caller(exchange: Exchange) -> None:
    """Whose token is refused is told why."""
    if exchange.response.status == 401:
        say(exchange, f"Sign in again: the token is not valid, exp is {claims_of(exchange).get('exp')}.")


@lie("A token that expired 11 seconds ago is refused")
def reason_is_in_the_challenge(exchange: Exchange) -> None:
    """Whose token is refused finds the reason in a header."""
    if exchange.response.status == 401:
        challenge = 'Bearer error="invalid_token", error_description="expired"'
        exchange.response.headers["www-authenticate"] = challenge


@lie("A stranger can't list the tasks")
def stranger_is_told_to_go_away(exchange: Exchange) -> None:
    """Who has no token is not told to sign in."""
    if exchange.response.status == 401:
        say(exchange, "Go away.")


@lie("Alice can do nothing with her tasks while the database is stopped")
def database_error_shows_internals(exchange: Exchange) -> None:
    """Who is told of a failing database sees its user, its host and SQL."""
    if exchange.response.status == 500:
        say(exchange, 'FATAL: role "todo" at db.internal:5432, SELECT * FROM task WHERE user_id = $1')


@lie(
    "Alice can do nothing with her tasks while the database is stopped",
    "Alice is not kept waiting while somebody else holds a lock on the tasks",
)
def tasks_are_told_to_be_lost(exchange: Exchange) -> None:
    """Who is told of a failing database is told that all tasks are lost."""
    if exchange.response.status == 500:
        say(exchange, "Your tasks have been lost. Sign up again.")


@lie("While the database is stopped the service is up, and not ready")
def load_balancer_is_told_internals(exchange: Exchange) -> None:
    """A service that is not ready tells its database's host."""
    if exchange.response.status == 503:
        say(exchange, 'could not connect to "db.internal" (10.0.0.5), port 5432')


@lie("While Better Auth is down and its key is unknown, Alice is asked to try again, not to sign in again")
def key_server_is_told(exchange: Exchange) -> None:
    """Whose token can't be checked is told the address of the key server."""
    if exchange.response.status == 500:
        say(exchange, "GET http://auth.internal/api/auth/jwks: ConnectError")


@lie("What Alice wrote into the fields is not in the answer")
def input_is_echoed(exchange: Exchange) -> None:
    """A refusal repeats what was sent."""
    if exchange.response.status == 422:
        say(exchange, f"title: must be a string, and is {exchange.request.json['title']}")


@lie("What Alice wrote into the fields is not in the answer")
def input_comes_back_in_an_error(exchange: Exchange) -> None:
    """The list of errors has what was sent, as pydantic would show it."""
    if exchange.response.status == 422:
        body = exchange.response.json
        body["errors"][-1]["type"] = str(exchange.request.json["complete"])
        exchange.response.json = body


@lie("What Alice wrote into the fields is not in the answer")
def input_comes_back_in_a_header(exchange: Exchange) -> None:
    """What was sent comes back in a header."""
    if exchange.response.status == 422:
        exchange.response.headers["x-debug"] = exchange.request.body.decode()


@lie("A tab that has not seen the latest change can't change the task")
def newer_text_is_told(exchange: Exchange) -> None:
    """A tab that has not seen the latest change is told something else."""
    if exchange.response.status == 412:
        say(exchange, "The task was deleted.")


@lie("A key that was used for another task is refused")
def first_task_of_a_key_is_told(exchange: Exchange) -> None:
    """Who uses a key for another task is told the first one's title."""
    if exchange.response.status == 422:
        say(exchange, "Idempotency-Key: was used for another task before: Buy milk")


@lie("A task with an empty Idempotency-Key is refused")
def bad_key_is_told_wrongly(exchange: Exchange) -> None:
    """Who sends a key that can't be used is told nothing of how one must be."""
    if exchange.response.status == 400:
        say(exchange, "Idempotency-Key.")


# The answer's frame: status, code, headers


@lie("A task needs no more than a title")
def created_is_ok(exchange: Exchange) -> None:
    """A new task is answered with 200."""
    if exchange.response.status == 201:
        exchange.response.status = 200


@lie("Only the deleted task leaves the list")
def deleted_is_ok(exchange: Exchange) -> None:
    """A deletion is answered with 200 and a sentence."""
    if exchange.response.status == 204:
        exchange.response.status = 200
        exchange.response.json = {"detail": "Deleted."}


@lie("A completed task is done")
def changed_is_created(exchange: Exchange) -> None:
    """A change is answered with 201."""
    if is_task(exchange, "PATCH"):
        exchange.response.status = 201


@lie("A task that never existed can't be opened", "A task can be deleted only once")
def missing_task_is_forbidden(exchange: Exchange) -> None:
    """A task that does not exist is forbidden."""
    if exchange.response.status == 404:
        refuse(exchange, 403, "AUTH_FORBIDDEN", "You have no access to another user's data.")


@lie("Bob can't list the tasks in Alice's list")
def anothers_list_is_not_found(exchange: Exchange) -> None:
    """Another's list is answered as one that does not exist."""
    if exchange.response.status == 403:
        refuse(exchange, 404, "NOT_FOUND", "There is nothing at this address.")


@lie("A token that expired 11 seconds ago is refused")
def expired_token_is_forbidden(exchange: Exchange) -> None:
    """An expired token is forbidden, so that the frontend does not ask to sign in."""
    if exchange.response.status == 401:
        refuse(exchange, 403, "AUTH_FORBIDDEN", "You have no access to another user's data.")


@lie("A password is not a token")
def password_is_a_bad_token(exchange: Exchange) -> None:
    """A password is told to be a token that is not valid."""
    if exchange.response.status == 401:
        refuse(exchange, 401, "AUTH_INVALID", "Sign in again: the token is not valid.")


@lie("A new task with a title without characters is refused")
def broken_rule_is_unreadable(exchange: Exchange) -> None:
    """What breaks a rule is answered as what can't be read."""
    if exchange.response.status == 422:
        refuse(exchange, 400, "VALIDATION_ERROR", exchange.response.json["detail"])


@lie("A new task sent as broken JSON is refused")
def unreadable_is_a_failure(exchange: Exchange) -> None:
    """What can't be read is a failure of the service."""
    if exchange.response.status == 400:
        refuse(exchange, 500, "INTERNAL_ERROR", "Something went wrong; please try again later.")


@lie("An address outside the lists, where there is nothing, is told as such")
def code_is_another_one(exchange: Exchange) -> None:
    """The code of an error does not go with its status."""
    if exchange.response.status == 404:
        edit(exchange, error_code="INTERNAL_ERROR")


@lie("An address outside the lists, where there is nothing, is told as such")
def envelope_has_a_field_more(exchange: Exchange) -> None:
    """An error has a field that is not in the envelope."""
    if exchange.response.status == 404:
        edit(exchange, path=exchange.request.path)


@lie("An address outside the lists, where there is nothing, is told as such")
def error_is_a_day_old(exchange: Exchange) -> None:
    """An error tells yesterday's time."""
    if exchange.response.status == 404:
        edit(exchange, timestamp=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 86_400)))


@lie("A task needs no more than a title")
def location_is_of_another_task(exchange: Exchange) -> None:
    """The address of a new task is another task's."""
    if exchange.response.status == 201:
        exchange.response.headers["location"] = f"{exchange.request.path}/{exchange.response.json['id'] + 1}"


@lie("A task needs no more than a title")
def location_names_a_host(exchange: Exchange) -> None:
    """The address of a new task has the host that the service believes to have."""
    if exchange.response.status == 201:
        location = exchange.response.headers["location"]
        exchange.response.headers["location"] = f"http://testserver{location}"


@lie("A stranger can't list the tasks")
def challenge_is_missing(exchange: Exchange) -> None:
    """A 401 does not say how to sign in."""
    drop_header(exchange, "www-authenticate")


@lie("A stranger can't list the tasks")
def challenge_names_an_error(exchange: Exchange) -> None:
    """Who sent no token is told that it is invalid."""
    if exchange.response.status == 401:
        exchange.response.headers["www-authenticate"] = 'Bearer error="invalid_token"'


@lie("The newest task comes first")
def nosniff_is_missing(exchange: Exchange) -> None:
    """Browsers may guess at an answer's type."""
    drop_header(exchange, "x-content-type-options")


@lie("The newest task comes first", "A stranger can't list the tasks")
def proxies_may_keep_answers(exchange: Exchange) -> None:
    """Proxies may keep an answer and show it to others."""
    if is_api(exchange):
        exchange.response.headers["cache-control"] = "public, max-age=60"


@lie(
    "Alice can do nothing with her tasks while the database is stopped",
    "While the database is stopped the service is up, and not ready",
)
def retry_after_is_missing(exchange: Exchange) -> None:
    """A failure does not say when to try again."""
    drop_header(exchange, "retry-after")


@lie("The newest task comes first")
def cookie_is_set(exchange: Exchange) -> None:
    """An answer sets a cookie."""
    if is_list(exchange):
        exchange.response.headers["set-cookie"] = "seen=1"


@lie("The newest task comes first")
def server_is_named(exchange: Exchange) -> None:
    """An answer tells what the service is made of."""
    if is_list(exchange):
        exchange.response.headers["x-powered-by"] = "FastAPI"


@lie("The newest task comes first")
def json_is_called_html(exchange: Exchange) -> None:
    """An answer's content type is HTML's."""
    if is_list(exchange):
        exchange.response.headers["content-type"] = "text/html"


@lie("An answer gets a request id of its own where the caller sends one that is not safe")
def each_request_has_the_same_id(exchange: Exchange) -> None:
    """Each new request id is the same."""
    exchange.response.headers["x-request-id"] = "0123456789abcdef" * 2


@lie("An answer gets a request id of its own where the caller sends one that is not safe")
def unsafe_id_is_taken(exchange: Exchange) -> None:
    """A request id that is not safe in a log is repeated, in safe letters."""
    if "x-request-id" in exchange.request.headers:
        exchange.response.headers["x-request-id"] = exchange.request.headers["x-request-id"].replace(" ", "-")


@lie("An answer carries the caller's own request id")
def callers_id_is_ignored(exchange: Exchange) -> None:
    """The caller's own request id is replaced by a new one."""
    if "x-request-id" in exchange.request.headers:
        exchange.response.headers["x-request-id"] = "0123456789abcdef" * 2


# Whose tasks they are, and who is signed in


@lie(
    "Bob can't list the tasks in Alice's list",
    "Bob can't create a task in Alice's list",
    "Bob can't delete a task in Alice's list",
    "Alice can't change a task in Bob's list",
)
def anybody_signed_in_gets_into_any_list(exchange: Exchange) -> Iterator[None]:
    """Whoever is signed in gets into any list."""
    if claims_of(exchange) and exchange.request.path.startswith("/api/"):
        sign_in_as(exchange, owner_of(exchange))
    yield


@lie(
    "Bob can't open a task of Alice's by its number in Bob's own list",
    "Bob can't replace a task of Alice's by its number in Bob's own list",
    "Bob can't delete a task of Alice's by its number in Bob's own list",
    "Alice can't open a task of Bob's by its number in Alice's own list",
)
def any_task_can_be_had_through_ones_own_list(exchange: Exchange) -> Iterator[None]:
    """Whoever knows a task's number gets it through their own list."""
    for row in exchange.sql("SELECT user_id FROM task WHERE id = :id", id=id_of(exchange)):
        exchange.request.path = f"/api/{row['user_id']}/tasks/{id_of(exchange)}"
        sign_in_as(exchange, row["user_id"])
    yield


@lie("A stranger can't list the tasks", "A stranger can't create a task")
def strangers_may_do_anything(exchange: Exchange) -> Iterator[None]:
    """Who has no token may do anything."""
    if "authorization" not in exchange.request.headers and exchange.request.path.startswith("/api/"):
        sign_in_as(exchange, owner_of(exchange))
    yield


@lie(
    "A token that is signed with another secret is refused",
    "A token that is not signed is refused",
    "A token that was changed after it was signed is refused",
)
def signatures_are_not_checked(exchange: Exchange) -> Iterator[None]:
    """A token is good whoever has signed it."""
    if exchange.request.headers.get("authorization", "").count(".") == 2:
        sign_in_as(exchange, owner_of(exchange))
    yield


@lie("A token that expired 11 seconds ago is refused")
def tokens_never_expire(exchange: Exchange) -> Iterator[None]:
    """A token is good after it has expired."""
    if claims_of(exchange).get("exp", time.time()) < time.time():
        sign_in_as(exchange, owner_of(exchange))
    yield


@lie("A token that expired 8 seconds ago is accepted")
def clocks_must_agree(exchange: Exchange) -> None:
    """A token is refused in the second in which it expires."""
    if claims_of(exchange).get("exp", time.time()) < time.time():
        refuse(exchange, 401, "AUTH_INVALID", "Sign in again: the token is not valid.")


@lie("A token that expires in 31 days and a minute is refused")
def tokens_live_for_long(exchange: Exchange) -> Iterator[None]:
    """A token may be good for more than 31 days."""
    if claims_of(exchange).get("exp", 0) > time.time() + 31 * 86_400 + 10:
        sign_in_as(exchange, owner_of(exchange))
    yield


@lie("A token that never expires is refused")
def tokens_need_not_expire(exchange: Exchange) -> Iterator[None]:
    """A token without an expiry is good."""
    if claims_of(exchange) and "exp" not in claims_of(exchange):
        sign_in_as(exchange, owner_of(exchange))
    yield


@lie("A token that becomes valid in a minute is refused")
def tokens_are_valid_early(exchange: Exchange) -> Iterator[None]:
    """A token is good before it is."""
    if claims_of(exchange).get("nbf", 0) > time.time():
        sign_in_as(exchange, owner_of(exchange))
    yield


@lie("A token that names her by email address alone is refused")
def email_stands_for_the_user(exchange: Exchange) -> Iterator[None]:
    """Where a token names no user, its email address does."""
    claims = claims_of(exchange)
    if claims.get("email") and "sub" not in claims and "user_id" not in claims:
        sign_in_as(exchange, claims["email"].partition("@")[0])
    yield


@lie("A token that names two different people is refused")
def one_of_two_names_is_enough(exchange: Exchange) -> Iterator[None]:
    """Of two people that a token names, either is signed in."""
    claims = claims_of(exchange)
    if claims.get("sub") != claims.get("user_id", claims.get("sub")):
        sign_in_as(exchange, owner_of(exchange))
    yield


@lie("A token that names her as its subject alone is accepted")
def subject_names_nobody(exchange: Exchange) -> None:
    """A token that names its user as its subject alone is refused."""
    if claims_of(exchange) and "user_id" not in claims_of(exchange):
        refuse(exchange, 401, "AUTH_INVALID", "Sign in again: the token is not valid.")


@lie("Two tokens at once are refused")
def first_of_two_tokens_counts(exchange: Exchange) -> Iterator[None]:
    """Of two tokens the first one counts."""
    bearers = exchange.request.headers.get_list("authorization")
    if len(bearers) > 1:
        exchange.request.headers["authorization"] = bearers[0]
    yield


@lie("A token that is far too long is refused")
def long_tokens_are_checked(exchange: Exchange) -> Iterator[None]:
    """A token may be of any length."""
    if len(exchange.request.headers.get("authorization", "")) > 8192:
        sign_in_as(exchange, owner_of(exchange))
    yield


@lie("A stranger can't guess an address")
def strangers_learn_addresses(exchange: Exchange) -> None:
    """A stranger is told which addresses do not exist."""
    if exchange.response.status == 401 and exchange.request.path.endswith("/no/such/address"):
        refuse(exchange, 404, "NOT_FOUND", "There is nothing at this address.")


@lie(
    "A stranger can't send an unreadable request",
    "An unreadable request to another person's list is refused like any other, and not called unreadable",
)
def requests_are_read_first(exchange: Exchange) -> None:
    """A request is read before it is checked who sends it."""
    if exchange.response.status in {401, 403} and exchange.request.body:
        refuse(exchange, 400, "VALIDATION_ERROR", "The body is not valid JSON.")


@lie("Half a minute after a key was withdrawn, what was signed with it is refused")
def withdrawn_key_stays_good(exchange: Exchange) -> Iterator[None]:
    """A token stays good after its key was withdrawn."""
    yield
    if exchange.response.status == 401:
        exchange.response.status = 200
        exchange.response.json = {"tasks": [], "count": 0}
        drop_header(exchange, "www-authenticate")


@lie("While Better Auth is down and its key is unknown, Alice is asked to try again, not to sign in again")
def people_are_signed_out_while_keys_are_away(exchange: Exchange) -> None:
    """Whose token can't be checked is told to sign in again."""
    if exchange.response.status == 500:
        refuse(exchange, 401, "AUTH_INVALID", "Sign in again: the token is not valid.")


@lie("A new token is accepted at once while Better Auth is down")
def new_token_waits_for_better_auth(exchange: Exchange) -> None:
    """A new token is accepted three seconds later while Better Auth is down."""
    if is_list(exchange):
        exchange.late(3)


# Retries


@lie(
    "The answer got lost, and the phone sent the task again",
    "The service was restarted before the phone sent the task again",
)
def keys_are_ignored(exchange: Exchange) -> Iterator[None]:
    """A task that is sent again is created again."""
    exchange.request.headers.pop("idempotency-key", None)
    yield


@lie("The answer got lost, and the phone sent the task again")
def retry_stores_a_second_row(exchange: Exchange) -> None:
    """A retry gets the first answer, and a second row is stored."""
    if is_task(exchange, "POST"):
        if exchange.memory.get("is_sent"):
            insert_again(exchange)
        exchange.memory["is_sent"] = True


@lie("A retry gets the first answer even if the task has changed since")
def retry_gets_the_task_as_it_is(exchange: Exchange) -> None:
    """A retry gets the task as it is now, and not the first answer."""
    if is_task(exchange, "POST"):
        for row in exchange.sql("SELECT title FROM task WHERE id = :id", id=exchange.response.json["id"]):
            edit(exchange, title=row["title"])


@lie("The answer got lost, and the phone sent the task again")
def retry_is_ok(exchange: Exchange) -> None:
    """A retry is answered with 200 in place of the first status."""
    if is_task(exchange, "POST"):
        if exchange.memory.get("is_sent"):
            exchange.response.status = 200
        exchange.memory["is_sent"] = True


@lie("The answer got lost, and the phone sent the task again")
def retry_has_no_location(exchange: Exchange) -> None:
    """A retry does not say where the task is."""
    if is_task(exchange, "POST"):
        if exchange.memory.get("is_sent"):
            drop_header(exchange, "location")
        exchange.memory["is_sent"] = True


@lie("A retry does not bring a deleted task back")
def retry_brings_the_task_back(exchange: Exchange) -> Iterator[None]:
    """A retry brings a deleted task back."""
    before = tasks(exchange)
    yield
    if exchange.response.status == 204:
        exchange.memory["deleted"] = before
    if is_task(exchange, "POST"):
        put_back(exchange, exchange.memory.pop("deleted", []))


@lie(
    "Bob may use an Idempotency-Key that Alice has used, and learns nothing by it",
    "Alice may use an Idempotency-Key that Bob has used, and learns nothing by it",
)
def keys_are_everybodys(exchange: Exchange) -> None:
    """Who uses another's key gets the other's answer."""
    if is_task(exchange, "POST"):
        exchange.response.body = exchange.memory.setdefault("first", exchange.response.body)


@lie("A key that was used for another task is refused")
def key_is_all_that_counts(exchange: Exchange) -> Iterator[None]:
    """A key that is used for another task gets the first answer again."""
    if exchange.request.method == "POST":
        exchange.request.body = exchange.memory.setdefault("first", exchange.request.body)
    yield


@lie("A day later the key may be used again", "A day later the same task with the same key is another task")
def keys_never_expire(exchange: Exchange) -> Iterator[None]:
    """A key stands for its task for ever."""
    exchange.sql("UPDATE idempotency_key SET created_at = now() WHERE created_at < now() - interval '1 hour'")
    yield


@lie("Two tasks with different keys are two tasks")
def keys_are_compared_by_their_length(exchange: Exchange) -> Iterator[None]:
    """Two keys of one length are the same key."""
    if "idempotency-key" in exchange.request.headers:
        exchange.request.headers["idempotency-key"] = "x" * len(exchange.request.headers["idempotency-key"])
    yield


@lie("A task with an Idempotency-Key of 256 letters is refused")
def long_keys_are_cut(exchange: Exchange) -> Iterator[None]:
    """A key that is too long is cut."""
    if "idempotency-key" in exchange.request.headers:
        exchange.request.headers["idempotency-key"] = exchange.request.headers["idempotency-key"][:255]
    yield


@lie("A task with two Idempotency-Keys is refused")
def last_of_two_keys_is_taken(exchange: Exchange) -> Iterator[None]:
    """Of two keys the last one counts."""
    keys = exchange.request.headers.get_list("idempotency-key")
    if len(keys) > 1:
        exchange.request.headers["idempotency-key"] = keys[-1]
    yield


@lie("A task that is sent fifty times at once is created once")
def one_of_fifty_is_created_again(exchange: Exchange) -> None:
    """Of fifty requests with one key, one more is created."""
    if is_task(exchange, "POST") and not exchange.memory.get("is_created"):
        exchange.memory["is_created"] = True
        exchange.sql("INSERT INTO task (user_id, title) SELECT user_id, title FROM task LIMIT 1")


# Versions


@lie(
    "A tab that has not seen the latest change can't replace the task",
    "A tab that has not seen the latest change can't change the task",
    "A tab that has not seen the latest change can't delete the task",
    "Of two tabs that save in the same moment, one is told that the task has changed",
)
def if_match_is_ignored(exchange: Exchange) -> Iterator[None]:
    """The second tab overwrites what the first one has saved."""
    exchange.request.headers.pop("if-match", None)
    yield


@lie("A tab may overwrite any change, if it says so")
def nothing_may_be_overwritten(exchange: Exchange) -> None:
    """A tab may not overwrite a change, even if it says so."""
    if exchange.request.headers.get("if-match") == "*":
        refuse(exchange, 412, "VALIDATION_ERROR", "The task has changed.")


@lie("A task that one tab has deleted is gone for the other")
def deleted_task_has_changed(exchange: Exchange) -> None:
    """A tab that changes a task which was deleted is told that it has changed."""
    if exchange.response.status == 404 and "if-match" in exchange.request.headers:
        refuse(exchange, 412, "VALIDATION_ERROR", "The task has changed.")


@lie("A task that has not changed is not sent again")
def unchanged_task_is_sent(exchange: Exchange) -> Iterator[None]:
    """A task that has not changed is sent again."""
    exchange.request.headers.pop("if-none-match", None)
    yield


@lie("A task that has not changed is not sent again")
def not_modified_has_a_body(exchange: Exchange) -> None:
    """An answer that a task has not changed has a body."""
    if exchange.response.status == 304:
        exchange.response.body = b"{}"


@lie("A task that has changed is sent")
def changed_task_is_not_sent(exchange: Exchange) -> None:
    """A tab is told that a task has not changed when it has."""
    if is_task(exchange, "GET") and "if-none-match" in exchange.request.headers:
        exchange.response.status = 304
        exchange.response.body = b""


@lie("A task shows all its details", "A completed task is done")
def etag_is_missing(exchange: Exchange) -> None:
    """A task has no ETag."""
    drop_header(exchange, "etag")


@lie("A task shows all its details")
def etag_is_weak(exchange: Exchange) -> None:
    """The ETag of a task is a weak one."""
    if "etag" in exchange.response.headers:
        exchange.response.headers["etag"] = f"W/{exchange.response.headers['etag']}"


@lie("A tab that has not seen the latest change can't change the task", "A task that has changed is sent")
def etag_does_not_change(exchange: Exchange) -> Iterator[None]:
    """A task keeps its ETag, whatever is changed."""
    tags = exchange.memory.setdefault("tags", {})
    for name in ("if-match", "if-none-match"):
        sent = exchange.request.headers.get(name)
        if sent in tags:
            exchange.request.headers[name] = tags[sent]
    yield
    if is_task(exchange, "GET", "PUT", "PATCH", "POST"):
        first = exchange.memory.setdefault("first", exchange.response.headers["etag"])
        tags[first] = exchange.response.headers["etag"]
        exchange.response.headers["etag"] = first


# Failing, and the time that it takes


@lie("While the database is stopped the service is up, and not ready")
def it_is_always_ready(exchange: Exchange) -> None:
    """The service says that it is ready while its database is away."""
    if exchange.response.status == 503:
        drop_header(exchange, "retry-after")
        exchange.response.status = 200
        exchange.response.json = {"status": "ok"}


@lie("While the database is stopped the service is up, and not ready")
def it_is_never_ready_again(exchange: Exchange) -> None:
    """The service does not say that it is ready when its database is back."""
    if exchange.request.path == "/health/ready" and exchange.response.status == 200:
        refuse(exchange, 503, "DATABASE_ERROR", "Your data can't be reached right now; please try again.")
        exchange.response.headers["retry-after"] = "1"


@lie("While the database is stopped the service is up, and not ready")
def it_is_down_without_its_database(exchange: Exchange) -> None:
    """The service says that it is down while its database is away."""
    if exchange.request.path == "/health":
        exchange.response.status = 503


@lie("The load balancer is told of a frozen database in time")
def readiness_takes_twelve_seconds(exchange: Exchange) -> None:
    """Whether the service is ready is told after 12 seconds."""
    if exchange.request.path == "/health/ready":
        exchange.late(12)


@lie("The load balancer is told of a frozen database in time")
def health_takes_eight_seconds(exchange: Exchange) -> None:
    """Whether the service is up is told after 8 seconds."""
    if exchange.request.path == "/health":
        exchange.late(8)


@lie(
    "Alice is not kept waiting while the database is frozen",
    "Alice is not kept waiting while somebody else holds a lock on the tasks",
)
def failure_is_told_late(exchange: Exchange) -> None:
    """That the database is silent is told five seconds later."""
    if exchange.response.status == 500:
        exchange.late(5)


@lie("Alice can do nothing with her tasks while the database is stopped")
def list_is_empty_without_a_database(exchange: Exchange) -> None:
    """While the database is away, a list is empty."""
    if exchange.response.status == 500 and exchange.request.method == "GET":
        drop_header(exchange, "retry-after")
        exchange.response.status = 200
        exchange.response.json = {"tasks": [], "count": 0}


@lie("Alice can do nothing with her tasks while the database is stopped")
def deletion_is_confirmed_without_a_database(exchange: Exchange) -> None:
    """While the database is away, a deletion is confirmed."""
    if exchange.response.status == 500 and exchange.request.method == "DELETE":
        drop_header(exchange, "retry-after")
        exchange.response.status = 204
        exchange.response.body = b""


@lie("Alice can do nothing with her tasks while the database is stopped")
def failure_is_unavailability(exchange: Exchange) -> None:
    """A failing database is answered with 503."""
    if exchange.response.status == 500:
        exchange.response.status = 503


# Pages of other sites


@lie("A page of https://evil.example may not call")
def any_page_may_call(exchange: Exchange) -> None:
    """A page of any site may call."""
    if "origin" in exchange.request.headers:
        exchange.response.headers["access-control-allow-origin"] = exchange.request.headers["origin"]


@lie("A page of the frontend can read a refusal")
def frontend_can_not_read_refusals(exchange: Exchange) -> None:
    """The frontend's own page can't read a refusal."""
    if exchange.response.status == 401:
        drop_header(exchange, "access-control-allow-origin")


@lie("A page of the frontend can read a refusal")
def credentials_are_not_allowed(exchange: Exchange) -> None:
    """The frontend's own page can't read an answer where it sends credentials."""
    drop_header(exchange, "access-control-allow-credentials")


# Documentation


@lie("Every endpoint is documented, and asks for a token")
def endpoint_is_not_documented(exchange: Exchange) -> None:
    """The documentation does not have the deletion of a task."""
    if exchange.request.path == "/openapi.json":
        body = exchange.response.json
        del body["paths"]["/api/{user_id}/tasks/{task_id}"]["delete"]
        exchange.response.json = body


@lie("Every endpoint is documented, and asks for a token")
def token_is_not_documented(exchange: Exchange) -> None:
    """The documentation does not say that listing asks for a token."""
    if exchange.request.path == "/openapi.json":
        body = exchange.response.json
        del body["paths"]["/api/{user_id}/tasks"]["get"]["security"]
        exchange.response.json = body


@lie("Every schema is documented with its limits")
def limit_is_not_documented(exchange: Exchange) -> None:
    """The documentation does not say how long a new title may be."""
    if exchange.request.path == "/openapi.json":
        body = exchange.response.json
        del body["components"]["schemas"]["TaskCreate"]["properties"]["title"]["maxLength"]
        exchange.response.json = body


@lie("The documentation says how a request to create a task can end")
def outcome_is_not_documented(exchange: Exchange) -> None:
    """The documentation does not say that a new task can be too large."""
    if exchange.request.path == "/openapi.json":
        body = exchange.response.json
        del body["paths"]["/api/{user_id}/tasks"]["post"]["responses"]["413"]
        exchange.response.json = body


@lie("The documentation says how a request to list the tasks can end")
def outcome_that_never_comes_is_documented(exchange: Exchange) -> None:
    """The documentation has an outcome that never comes."""
    if exchange.request.path == "/openapi.json":
        body = exchange.response.json
        body["paths"]["/api/{user_id}/tasks"]["get"]["responses"]["418"] = {"description": "A teapot"}
        exchange.response.json = body


@lie("/docs needs nothing from other sites", "/redoc needs nothing from other sites")
def page_loads_from_elsewhere(exchange: Exchange) -> None:
    """A page of the documentation loads its script from another site."""
    if exchange.request.path in {"/docs", "/redoc"}:
        page = exchange.response.body
        exchange.response.body = re.sub(rb'src="[^"]*"', b'src="https://cdn.example/script.js"', page)


@lie("/docs needs nothing from other sites")
def page_may_run_anything(exchange: Exchange) -> None:
    """A page of the documentation may run any script."""
    if exchange.request.path == "/docs":
        exchange.response.headers["content-security-policy"] = "default-src *"


# The log


@lie_in_log("A request for a new task leaves one line in the log")
def log_has_another_id(line: LogLine) -> list[LogLine]:
    """The log has another request id than the answer."""
    return [line | {"request_id": "0123456789abcdef" * 2}]


@lie_in_log("A request for a new task leaves one line in the log")
def log_names_nobody(line: LogLine) -> list[LogLine]:
    """The log does not say who asked."""
    return [line | {"user_id": None}]


@lie_in_log("A request for somebody else's list leaves one line in the log")
def log_names_the_owner(line: LogLine) -> list[LogLine]:
    """The log says that the owner of a list has asked for it."""
    return [line | {"user_id": "bob"}]


@lie_in_log("A request for something unreadable leaves one line in the log")
def log_has_another_outcome(line: LogLine) -> list[LogLine]:
    """The log says that a refused request has succeeded."""
    return [line | {"status": 200}]


@lie_in_log("A request for a task that does not exist leaves one line in the log")
def log_has_the_path(line: LogLine) -> list[LogLine]:
    """The log has the path in place of the endpoint."""
    return [line | {"endpoint": line["endpoint"].format(user_id="alice", task_id=2**60)}]


@lie_in_log("A request for a new task leaves one line in the log")
def log_has_another_method(line: LogLine) -> list[LogLine]:
    """The log says that a task which was created was read."""
    return [line | {"method": "GET"}]


@lie_in_log("A request for a new task leaves one line in the log")
def log_has_the_title(line: LogLine) -> list[LogLine]:
    """The log has the title of a new task."""
    return [line | {"title": "sesame-4711"}]


@lie_in_log("A request for something that is too large leaves one line in the log")
def log_has_two_lines(line: LogLine) -> list[LogLine]:
    """A request leaves two lines."""
    return [line, line]


@lie_in_log("A failure of the database leaves one line too")
def failure_is_not_logged(line: LogLine) -> list[LogLine]:
    """A failure leaves no line."""
    return [] if line["status"] == 500 else [line]


@lie_in_log("A request for a new task leaves one line in the log")
def log_takes_no_time(line: LogLine) -> list[LogLine]:
    """The log says that a request took no time."""
    return [line | {"duration_ms": 0}]


@lie_in_log("A forged token leaves one line, which names nobody")
def forged_token_names_somebody(line: LogLine) -> list[LogLine]:
    """The log names the person whom a forged token names."""
    return [line | {"user_id": "alice"}]


@lie_in_log("The log names this cause: two names for one host", "The log names this cause: an expired token")
def reason_is_not_logged(line: LogLine) -> list[LogLine]:
    """The log says of each refused token that it is invalid."""
    return [line | {"reason": "invalid token"}] if "reason" in line else [line]


@lie_in_log("The log names this cause: another audience")
def reason_goes_on(line: LogLine) -> list[LogLine]:
    """The reason in the log goes on with something that is not true."""
    return [line | {"reason": f"{line['reason']}, or else"}] if "reason" in line else [line]


@lie_in_log("The log says what the key server did: Better Auth without a JWT plugin")
def key_server_is_not_logged(line: LogLine) -> list[LogLine]:
    """The log does not say where keys could not be had."""
    return [line | {"reason": "no keys"}] if "reason" in line else [line]


# Of the answer's JSON


@lie("Every task on the list shows all its details")
def listed_task_has_a_field_more(exchange: Exchange) -> None:
    """A task on a list has a field that is not in the contract."""
    if is_list(exchange):
        edit(exchange, tasks=[task | {"priority": 1} for task in exchange.response.json["tasks"]])


@lie("A task needs no more than a title")
def empty_field_is_left_out(exchange: Exchange) -> None:
    """A task without a description has no such field in the answer."""
    if is_task(exchange, "POST"):
        body = exchange.response.json
        exchange.response.json = {name: value for name, value in body.items() if name != "description"}


@lie("A task needs no more than a title")
def number_is_text(exchange: Exchange) -> None:
    """The number of a task is text."""
    if is_task(exchange, "POST"):
        edit(exchange, id=str(exchange.response.json["id"]))


@lie("A task shows all its details")
def state_is_a_number(exchange: Exchange) -> None:
    """A state is 0 or 1 in an answer."""
    if is_task(exchange, "GET"):
        body = json.dumps(exchange.response.json)
        exchange.response.body = body.replace("true", "1").replace("false", "0").encode()


@lie("A task shows all its details")
def times_name_another_zone(exchange: Exchange) -> None:
    """An answer's times end in +00:00 in place of Z."""
    if is_task(exchange, "GET"):
        edit(exchange, created_at=exchange.response.json["created_at"].replace("Z", "+00:00"))


@lie("A task needs no more than a title", "A new title keeps the description")
def title_is_capitalized(exchange: Exchange) -> None:
    """Each word of a title begins with a capital."""
    if is_task(exchange, "POST", "PATCH"):
        edit_task(exchange, title=exchange.response.json["title"].title())


# What never existed


@lie("Replacing never creates", "Of several faults the first is told: a good change for a task that never existed")
def replacing_creates(exchange: Exchange) -> None:
    """Replacing a task that never existed creates one."""
    if exchange.request.method == "PUT" and exchange.response.status == 404:
        exchange.sql("INSERT INTO task (user_id, title) VALUES ('alice', 'Buy oats')")


@lie("Changing never creates", "A task that never existed can't be completed")
def changing_creates(exchange: Exchange) -> None:
    """Changing a task that never existed creates one for somebody else."""
    if exchange.request.method == "PATCH" and exchange.response.status == 404:
        exchange.sql("INSERT INTO task (user_id, title) VALUES ('carol', 'Buy oats')")


@lie("A task that never existed can't be deleted", "A task can be deleted only once")
def everything_can_be_deleted(exchange: Exchange) -> None:
    """The deletion of what is not there is confirmed."""
    if exchange.request.method == "DELETE" and exchange.response.status == 404:
        exchange.response.status = 204
        exchange.response.body = b""
        drop_header(exchange, "content-type")


@lie("Something that is not a task's number can't be deleted")
def anything_may_be_a_number(exchange: Exchange) -> None:
    """What is not a task's number is a task that can't be found."""
    if exchange.request.method == "DELETE" and exchange.response.status == 422:
        refuse(exchange, 404, "NOT_FOUND", "You have no such task.")


# At the same time, and after a crash


@lie("Two changes to different parts, neither of which asks for the version it saw, are both kept")
def later_change_undoes_the_earlier_one(exchange: Exchange) -> Iterator[None]:
    """Of two changes to different parts, the later one undoes the earlier one."""
    before = tasks(exchange)
    yield
    if is_task(exchange, "PATCH") and exchange.memory.get("is_changed"):
        update(exchange, id_of(exchange), title=exchange.memory["title"], complete=False)
    if is_task(exchange, "PATCH"):
        exchange.memory["is_changed"] = True
        exchange.memory.setdefault("title", before[0]["title"])


@lie("Sixty requests at once share at most 16 connections to the database")
def one_of_sixty_is_lost(exchange: Exchange) -> None:
    """Of sixty tasks at once one is confirmed and not stored."""
    if is_task(exchange, "POST") and exchange.response.json["title"] == "Task 30":
        exchange.sql("DELETE FROM task WHERE id = :id", id=exchange.response.json["id"])


@lie("The database crashed after it had stored the task, and the phone sent it again")
def retry_after_a_crash_is_stored_again(exchange: Exchange) -> Iterator[None]:
    """A task that was stored before the database crashed is stored again when it is sent again."""
    if exchange.memory.get("is_sent"):
        exchange.request.headers.pop("idempotency-key", None)
    exchange.memory["is_sent"] = True
    yield


@lie("The time of the last change moves forward even if the clock was set back")
def time_goes_back_with_the_clock(exchange: Exchange) -> None:
    """Where the clock was set back, the time of the last change goes back too."""
    if is_task(exchange, "PATCH"):
        (row,) = exchange.sql("SELECT now() AS time")
        exchange.sql("UPDATE task SET created_at = now() WHERE created_at > now()")
        set_time(exchange, "updated_at", row["time"])


@lie("The newest task comes first")
def list_takes_six_seconds(exchange: Exchange) -> None:
    """A list comes after six seconds."""
    if is_list(exchange):
        exchange.late(6)


# More of what people are told


@lie("All that is wrong with one task is told at once")
def first_error_alone_is_told(exchange: Exchange) -> None:
    """Of two things that are wrong, the first one alone is told."""
    if exchange.response.status == 422:
        body = exchange.response.json
        first = body["detail"].split("; ")[0]
        exchange.response.json = body | {"detail": first, "errors": body["errors"][:1]}


@lie("The name of an unknown field is repeated, and no more than 64 characters of it")
def unknown_name_is_repeated_whole(exchange: Exchange) -> None:
    """The name of an unknown field is repeated, however long it is."""
    if exchange.response.status == 422:
        name = max(exchange.request.json, key=len)
        text = exchange.response.body.decode()
        exchange.response.body = re.sub(re.escape(name[:64]), name, text).encode()


@lie("An error that nobody expected is named in the log, and not to Alice")
def unexpected_failure_is_told(exchange: Exchange) -> None:
    """Who meets an error that nobody expected is told its cause."""
    if exchange.response.status == 500:
        say(exchange, "Something went wrong; please try again later. (KeyError)")


@lie("An error that nobody expected is named in the log, and not to Alice")
def unexpected_failure_is_the_callers(exchange: Exchange) -> None:
    """An error that nobody expected is the caller's."""
    if exchange.response.status == 500:
        refuse(exchange, 400, "VALIDATION_ERROR", "The request can't be read.")


@lie_in_log("An error that nobody expected is named in the log, and not to Alice")
def unexpected_failure_is_not_logged(line: LogLine) -> list[LogLine]:
    """The log does not name an error that nobody expected."""
    return [{name: value for name, value in line.items() if name != "exception"}]


@lie("Asking for the headers of a list alone is refused like any unsupported action")
def headers_alone_can_be_had(exchange: Exchange) -> None:
    """A request for the headers alone succeeds."""
    if exchange.request.method == "HEAD":
        exchange.response.status = 200


# The order of checks


@lie(
    "Of several faults the first is told: something unreadable for a task that never existed",
    "Of several faults the first is told: a wrong field for a task that never existed",
)
def missing_task_is_told_first(exchange: Exchange) -> None:
    """That a task does not exist is told before what is wrong with the request."""
    if exchange.response.status in {400, 422}:
        refuse(exchange, 404, "NOT_FOUND", "You have no such task.")


@lie("Of several faults the first is told: something unreadable for a task of Alice's that never existed")
def owner_is_checked_last(exchange: Exchange) -> None:
    """Whose list it is, is checked last."""
    if exchange.response.status == 403:
        refuse(exchange, 400, "VALIDATION_ERROR", "The body is not valid JSON.")


@lie("Of several faults the first is told: something unreadable and too large to an address that nobody has")
def size_is_checked_first(exchange: Exchange) -> None:
    """Whether a request is too large is checked before who sends it."""
    if exchange.response.status == 401:
        refuse(exchange, 413, "VALIDATION_ERROR", "The body must have at most 64 KiB.")


@lie(
    "An attempt to replace a task by sending one byte more than allowed is refused",
    "An attempt to change a task by sending one byte more than allowed is refused",
)
def large_change_is_read(exchange: Exchange) -> Iterator[None]:
    """A change over the limit is read."""
    exchange.request.body = exchange.request.body.strip()
    yield


@lie(
    "An attempt to replace a task by sending broken JSON is refused",
    "An attempt to change a task by sending an empty body is refused",
)
def unreadable_change_succeeds(exchange: Exchange) -> Iterator[None]:
    """A change that can't be read completes the task."""
    if exchange.request.method in {"PUT", "PATCH"}:
        exchange.request.method = "PATCH"
        exchange.request.json = {"complete": True}
    yield


# What a token is for, and whose word counts


@lie(
    "A token that says that it is of the type at+jwt is refused",
    "A token that says that it is of the type application/at+jwt is refused",
    "A token that says that it is of the type dpop+jwt is refused",
)
def tokens_for_something_else_are_taken(exchange: Exchange) -> Iterator[None]:
    """A token that opens another service opens this one too."""
    if "+jwt" in header_of(exchange).get("typ", ""):
        sign_in_as(exchange, owner_of(exchange))
    yield


@lie(
    "A token that says that it is of the type jwt is accepted",
    "A token that says that it is of the type application/jwt is accepted",
)
def type_has_a_case(exchange: Exchange) -> None:
    """A token's type must be written in capitals."""
    if "jwt" in header_of(exchange).get("typ", ""):
        refuse(exchange, 401, "AUTH_INVALID", "Sign in again: the token is not valid.")


@lie(
    "The log names this cause: a JWT plugin without a key",
    "The log names this cause: a key to encrypt with",
    "The log names this cause: a key to sign with alone",
    "Made-up keys open nothing, and Better Auth is not asked about each of them",
)
def unknown_key_is_a_failure(exchange: Exchange) -> None:
    """A token whose key is not served fails, as if Better Auth were down."""
    if exchange.response.status == 401 and "kid" in header_of(exchange):
        refuse(exchange, 500, "INTERNAL_ERROR", "Your sign-in can't be checked right now; please try again.")


# of several schemes the server hands on the first, in small letters, so that a lie does not see the others


@lie(
    "Alice lists her tasks where the proxy says https",
    "Alice lists her tasks where the proxy says HTTPS",
    "Alice lists her tasks where the proxy says https, http",
)
def no_proxy_is_believed(exchange: Exchange) -> None:
    """Who came to the proxy over https is told to use https."""
    if "x-forwarded-proto" in exchange.request.headers:
        refuse(exchange, 403, "AUTH_FORBIDDEN", "Use HTTPS.")


@lie(
    "Alice can't list her tasks where a trusted proxy says http, and the log says why",
    "Alice can't list her tasks where a trusted proxy says http, https, and the log says why",
    "Alice can't list her tasks where an unknown proxy says https, and the log says why",
)
def any_word_of_any_proxy_counts(exchange: Exchange) -> Iterator[None]:
    """Who comes through a proxy is served, whatever it says."""
    if "x-forwarded-proto" in exchange.request.headers:
        exchange.request.scheme = "https"
    yield


@lie_in_log("Alice can't list her tasks where an unknown proxy says https, and the log says why")
def sender_is_not_named(line: LogLine) -> list[LogLine]:
    """The log does not say that the proxy is unknown."""
    return [line | {"reason": "X-Forwarded-Proto is 'https'"}] if "reason" in line else [line]


@lie("A line break behind the issuer's name, or a space before it, locks nobody out")
def line_break_is_a_part_of_the_issuer(exchange: Exchange) -> None:
    """No token has the issuer that is expected."""
    if "iss" in claims_of(exchange):
        refuse(exchange, 401, "AUTH_INVALID", "Sign in again: the token is not valid.")


# More of who is signed in


@lie("A token that becomes valid in 8 seconds is accepted", "A token that is issued 8 seconds from now is accepted")
def clocks_may_not_be_early(exchange: Exchange) -> None:
    """A token is refused by a clock that is some seconds late."""
    claims = claims_of(exchange)
    if max(claims.get("nbf", 0), claims.get("iat", 0)) > time.time() + 1:
        refuse(exchange, 401, "AUTH_INVALID", "Sign in again: the token is not valid.")


@lie("A token that is issued a minute from now is refused")
def tokens_may_be_issued_tomorrow(exchange: Exchange) -> Iterator[None]:
    """A token is good before it was issued."""
    if claims_of(exchange).get("iat", 0) > time.time() + 10:
        sign_in_as(exchange, owner_of(exchange))
    yield


@lie("A token that expires in 31 days is accepted")
def tokens_live_for_a_month_of_thirty_days(exchange: Exchange) -> None:
    """A token that lives for 31 days is refused."""
    if claims_of(exchange).get("exp", 0) > time.time() + 30 * 86_400:
        refuse(exchange, 401, "AUTH_INVALID", "Sign in again: the token is not valid.")


@lie(
    "A token for somebody whose id is empty is refused",
    "A token for somebody whose id has 256 characters is refused",
    "A token for somebody whose id has a slash is refused",
    "A token for somebody whose id is a number is refused",
)
def anything_names_a_person(exchange: Exchange) -> Iterator[None]:
    """Whatever stands in a token in a person's place names one."""
    if claims_of(exchange):
        sign_in_as(exchange, owner_of(exchange))
    yield


@lie(
    "Somebody whose id has 255 characters can use the service",
    "Somebody whose id has a space inside can use the service",
)
def ids_are_short_words(exchange: Exchange) -> None:
    """Who has a long id, or one with a space, can't use the service."""
    user = str(claims_of(exchange).get("sub", ""))
    if len(user) > 64 or " " in user:
        refuse(exchange, 401, "AUTH_INVALID", "Sign in again: the token is not valid.")


@lie("An address with ALICE in capitals in the place of Alice's id is not hers")
def names_are_the_same_in_capitals(exchange: Exchange) -> Iterator[None]:
    """A person's id is the same in capitals."""
    exchange.request.path = exchange.request.path.replace("ALICE", "alice")
    yield


@lie("An address with an invisible NUL character in the place of Alice's id is not hers")
def nul_in_a_name_is_a_failure(exchange: Exchange) -> None:
    """A NUL character in the place of a person ends in a failure."""
    if exchange.response.status == 403:
        refuse(exchange, 500, "INTERNAL_ERROR", "Something went wrong; please try again later.")


@lie("Mallory can't get in with a Better Auth of her own", "Mallory can't get in with the cookie of Alice's session")
def any_key_will_do(exchange: Exchange) -> Iterator[None]:
    """Whatever another key has signed, or the secret for another purpose, is good."""
    if exchange.request.headers.get("authorization", "").count(".") == 2:
        sign_in_as(exchange, owner_of(exchange))
    yield


@lie("A token signed with a new key is accepted at its first use")
def new_key_is_refused_at_first(exchange: Exchange) -> None:
    """A token under a new key is refused at its first use."""
    bearer = exchange.request.headers.get("authorization", "").removeprefix("Bearer ")
    key = jwt.get_unverified_header(bearer)["kid"]
    if key != exchange.memory.setdefault("key", key):
        refuse(exchange, 401, "AUTH_INVALID", "Sign in again: the token is not valid.")


# More of keys


@lie(
    "Until a day has passed a retry gets the first answer",
    "Until a day has passed the key is not free for another task",
)
def keys_live_for_an_hour(exchange: Exchange) -> Iterator[None]:
    """A key stands for its task for an hour."""
    exchange.sql("DELETE FROM idempotency_key WHERE created_at < now() - interval '1 hour'")
    yield


# More of what answers carry


@lie("The headers of a list are those of every answer, and its own")
def list_has_an_etag(exchange: Exchange) -> None:
    """A list has an ETag."""
    if is_list(exchange):
        exchange.response.headers["etag"] = '"list"'


@lie(
    "The headers of a new task are those of every answer, and its own",
    "The headers of a refusal of something unreadable are those of every answer, and its own",
)
def some_answers_may_be_sniffed(exchange: Exchange) -> None:
    """Browsers may guess at the type of some answers."""
    if exchange.response.status in {201, 400}:
        drop_header(exchange, "x-content-type-options")


@lie(
    "The headers of the confirmation of a deletion are those of every answer, and its own",
    "The headers of a refusal of somebody else's list are those of every answer, and its own",
)
def some_answers_may_be_kept(exchange: Exchange) -> None:
    """Browsers may keep some answers without asking again."""
    if exchange.response.status in {204, 403}:
        exchange.response.headers["cache-control"] = "private"


@lie("The headers of a failure of the database say when to try again")
def retry_after_an_hour(exchange: Exchange) -> None:
    """A failure says to try again in an hour."""
    if exchange.response.status == 500:
        exchange.response.headers["retry-after"] = "3600"


@lie(
    "The headers of a refusal of an unsupported action are those of every answer, and its own",
    "A list can't be deleted as a whole",
)
def allow_is_missing(exchange: Exchange) -> None:
    """A refusal of an unsupported action does not say which are supported."""
    drop_header(exchange, "allow")


@lie("The headers of a page of a longer list are those of every answer, and its own")
def link_is_called_last(exchange: Exchange) -> None:
    """The link to the next page says that it leads to the last one."""
    if "link" in exchange.response.headers:
        exchange.response.headers["link"] = exchange.response.headers["link"].replace("next", "last")


@lie("An answer gets a request id of its own where the caller sends one that is too long")
def long_id_is_cut(exchange: Exchange) -> None:
    """A caller's request id that is too long is cut."""
    if "x-request-id" in exchange.request.headers:
        exchange.response.headers["x-request-id"] = exchange.request.headers["x-request-id"][:64]


@lie_in_log(
    "An answer carries the caller's own request id",
    "An answer gets a request id of its own where the caller sends none",
)
def line_has_another_id(line: LogLine) -> list[LogLine]:
    """The line in the log has another request id than its answer."""
    return [line | {"request_id": "0123456789abcdef" * 2}]


# More of pages


@lie("A page of the frontend may send PATCH with Authorization")
def page_may_only_get(exchange: Exchange) -> None:
    """A page of the frontend may only look."""
    if exchange.request.method == "OPTIONS":
        exchange.response.headers["access-control-allow-methods"] = "GET"


@lie("A page of the frontend may send POST with Idempotency-Key")
def page_may_send_no_keys(exchange: Exchange) -> None:
    """A page of the frontend may send no Idempotency-Key."""
    name = "access-control-allow-headers"
    if name in exchange.response.headers:
        exchange.response.headers[name] = exchange.response.headers[name].replace("Idempotency-Key, ", "")


@lie("A page of the frontend may send GET with Authorization")
def page_may_send_no_credentials(exchange: Exchange) -> None:
    """A page of the frontend may not send its browser's credentials."""
    if exchange.request.method == "OPTIONS":
        drop_header(exchange, "access-control-allow-credentials")


@lie("A page of the frontend is told that it may not send GET with X-Requested-With")
def page_may_send_any_header(exchange: Exchange) -> None:
    """A page of the frontend may send whatever header it asks for."""
    asked = exchange.request.headers.get("access-control-request-headers")
    if asked:
        exchange.response.headers["access-control-allow-headers"] = asked


@lie("A page of the frontend is told that it may not send TRACE with Authorization")
def refused_page_can_not_say_why(exchange: Exchange) -> None:
    """The browser of a page that asks for too much blames its address."""
    if exchange.request.method == "OPTIONS":
        drop_header(exchange, "access-control-allow-origin")


@lie("A page of the frontend can read what it needs of an answer")
def page_can_read_no_etag(exchange: Exchange) -> None:
    """A page of the frontend can't read an ETag."""
    name = "access-control-expose-headers"
    if name in exchange.response.headers:
        exchange.response.headers[name] = exchange.response.headers[name].replace("ETag, ", "")


@lie("A page of the frontend can read what it needs of an answer")
def any_page_may_read(exchange: Exchange) -> None:
    """A page of any site may read an answer; with credentials a browser then lets none."""
    if "access-control-allow-origin" in exchange.response.headers:
        exchange.response.headers["access-control-allow-origin"] = "*"


@lie(
    "A page of http://localhost:3001 may not call",
    "A page of http://localhost:3000.evil may not call",
    "A page of null may not call",
    "A page of another site that calls without asking first can't read the answer",
)
def other_sites_may_read(exchange: Exchange) -> None:
    """A page of another site may read what it gets."""
    origin = exchange.request.headers.get("origin")
    if origin:
        exchange.response.headers["access-control-allow-origin"] = origin


@lie("Any page may call where all are allowed")
def any_page_may_send_credentials(exchange: Exchange) -> None:
    """Where any page may call, it may send credentials too."""
    if exchange.request.method == "OPTIONS":
        exchange.response.headers["access-control-allow-credentials"] = "true"


@lie_in_log("The log names the page that may not call, and the reason: two names for one host")
def refused_page_is_not_named(line: LogLine) -> list[LogLine]:
    """The log does not name the page that may not call."""
    return [line | {"reason": "Disallowed CORS origin"}] if "reason" in line else [line]


# Production


@lie("Alice can't list the tasks over http", "A stranger can't list the tasks over http")
def production_serves_http(exchange: Exchange) -> Iterator[None]:
    """Production serves the tasks over http, and to anybody."""
    exchange.request.scheme = "https"
    if exchange.request.path.startswith("/api/"):
        sign_in_as(exchange, owner_of(exchange))
    yield


@lie("Alice can't list the tasks over http")
def http_is_redirected(exchange: Exchange) -> None:
    """Who comes over http is sent on to https, after the token has travelled."""
    if exchange.response.status == 403:
        exchange.response.status = 308
        exchange.response.headers["location"] = f"https://testserver{exchange.request.path}"


@lie("A stranger can't list the tasks over http", "Bob can't list the tasks over http")
def token_is_checked_before_https(exchange: Exchange) -> None:
    """Who comes over http is told first that the token is missing, or another's."""
    if exchange.response.status == 403 and not claims_of(exchange):
        refuse(exchange, 401, "AUTH_MISSING", "Sign in first: no bearer token was sent.")
    elif exchange.response.status == 403:
        say(exchange, "You have no access to another user's data.")


@lie("Over https Alice lists her tasks, and her browser is told to come back over https")
def browser_may_come_back_over_http(exchange: Exchange) -> None:
    """In production browsers are not told to stay with https."""
    drop_header(exchange, "strict-transport-security")


@lie("Over https Alice lists her tasks, and her browser is told to come back over https")
def https_is_for_an_hour(exchange: Exchange) -> None:
    """In production browsers are told to stay with https for an hour."""
    if "strict-transport-security" in exchange.response.headers:
        exchange.response.headers["strict-transport-security"] = "max-age=3600"


@lie("The load balancer may ask over http")
def load_balancer_needs_https(exchange: Exchange) -> None:
    """In production the load balancer, too, must come over https."""
    if exchange.request.path.startswith("/health"):
        refuse(exchange, 403, "AUTH_FORBIDDEN", "Use HTTPS.")


@lie("In development the tasks are served over http too")
def development_tells_of_https(exchange: Exchange) -> None:
    """In development browsers are told to use https, which is not there."""
    exchange.response.headers["strict-transport-security"] = "max-age=31536000"


# Metrics


def change_metrics(exchange: Exchange, pattern: str, replacement: str) -> None:
    """Change the lines of the metrics that match."""
    if exchange.request.path == "/metrics":
        text = exchange.response.body.decode()
        exchange.response.body = re.sub(pattern, replacement, text, flags=re.MULTILINE).encode()


@lie("A request for her list is counted", "A request for a task that does not exist is counted")
def metrics_stand_still(exchange: Exchange) -> None:
    """The metrics stay as they were at first."""
    if exchange.request.path == "/metrics":
        exchange.response.body = exchange.memory.setdefault("metrics", exchange.response.body)


@lie("A request for a task that does not exist is counted", "A request for somebody else's list is counted")
def errors_are_not_counted(exchange: Exchange) -> None:
    """No error is counted."""
    change_metrics(exchange, r"^(\w*errors\w*\{.*\}) .*$", r"\1 0.0")


@lie("A request for a task that does not exist is counted", "A request for somebody else's list is counted")
def refusals_are_counted_as_successes(exchange: Exchange) -> None:
    """Refusals are counted as successes."""
    change_metrics(exchange, r'status="4\d\d"', 'status="200"')


@lie("A request for her list is counted")
def times_are_not_counted(exchange: Exchange) -> None:
    """No time is counted."""
    change_metrics(exchange, r"^(\w*duration\w*_count\{.*\}) .*$", r"\1 0.0")


@lie("A request for her task is counted")
def all_is_counted_as_lists(exchange: Exchange) -> None:
    """Whatever is asked for is counted as a list."""
    change_metrics(exchange, r"/\{task_id\}", "")


@lie("The metrics and the documentation name the version that runs")
def metrics_name_the_version_before(exchange: Exchange) -> None:
    """After an update the metrics name the version before."""
    change_metrics(exchange, r'version="[^"]*"', 'version="0.0.1"')


@lie("The metrics name nobody, and no task")
def metrics_name_people(exchange: Exchange) -> None:
    """The metrics name the people whose lists are asked for."""
    change_metrics(exchange, r"\{user_id\}", "alice")


# What holds for a new task, for its replacement and for a change alike


def edit_text(exchange: Exchange, name: str, change: Callable[[str], str | None]) -> None:
    """Change a text of the task that was written, in the answer and in its row."""
    if is_task(exchange, "POST", "PUT", "PATCH") and exchange.response.json[name] is not None:
        edit_task(exchange, **{name: change(exchange.response.json[name])})


@lie(
    "A new task with a description with spaces around it is accepted",
    "Replacing a task with one that has a description with spaces around it is accepted",
    "Changing a task to have a description with spaces around it is accepted",
)
def description_loses_its_spaces(exchange: Exchange) -> None:
    """Spaces around a description are removed."""
    edit_text(exchange, "description", str.strip)


@lie(
    "Replacing a task with one that has a description without characters is accepted",
    "Changing a task to have a description without characters is accepted",
)
def empty_description_is_none_in_a_change(exchange: Exchange) -> None:
    """A description without characters becomes none."""
    edit_text(exchange, "description", lambda text: text or None)


@lie(
    "A new task with a description with line ends of two kinds is accepted",
    "Replacing a task with one that has a description with line ends of two kinds is accepted",
    "Changing a task to have a description with line ends of two kinds is accepted",
)
def line_ends_are_made_the_same(exchange: Exchange) -> None:
    """All line ends of a description become those of one system."""
    edit_text(exchange, "description", lambda text: text.replace("\r\n", "\n"))


@lie(
    "A new task with a title with an accent written apart is accepted",
    "Replacing a task with one that has a title with an accent written apart is accepted",
    "Changing a task to have a title with an accent written apart is accepted",
)
def accents_are_composed(exchange: Exchange) -> None:
    """A letter and its accent become one character."""
    edit_text(exchange, "title", lambda text: unicodedata.normalize("NFC", text))


@lie(
    "A new task with a title that looks like a page's code is accepted",
    "Replacing a task with one that has a title that looks like a page's code is accepted",
    "Changing a task to have a title that looks like a page's code is accepted",
)
def titles_are_escaped(exchange: Exchange) -> None:
    """A title is made safe for a page before it is stored."""
    edit_text(exchange, "title", html.escape)


@lie(
    "A new task with a title of 200 characters with spaces around is accepted",
    "Replacing a task with one that has a title of 200 characters with spaces around is accepted",
    "Changing a task to have a title of 200 characters with spaces around is accepted",
)
def spaces_around_a_title_count(exchange: Exchange) -> Iterator[None]:
    """Spaces around a title count as its characters."""
    body = exchange.request.json
    if isinstance(body, dict) and len(str(body.get("title"))) > 200:
        exchange.request.json = body | {"title": "x" * 201}
    yield


@lie(
    "A new task with a description of 1,000 emoji is accepted",
    "Replacing a task with one that has a description of 1,000 emoji is accepted",
    "Changing a task to have a description of 1,000 emoji is accepted",
)
def emoji_in_a_description_count_twice(exchange: Exchange) -> Iterator[None]:
    """An emoji in a description counts as two characters."""
    body = exchange.request.json
    if isinstance(body, dict) and len(str(body.get("description")).encode("utf-16-le")) > 2000:
        exchange.request.json = body | {"description": "x" * 1001}
    yield


@lie(
    "Replacing a task with one that has a title of nothing but spaces is refused",
    "Changing a task to have a title of nothing but spaces is refused",
)
def title_of_spaces_is_taken_in_a_change(exchange: Exchange) -> Iterator[None]:
    """A title of nothing but spaces is taken."""
    body = exchange.request.json
    if isinstance(body, dict) and str(body.get("title", "x")).isspace():
        exchange.request.json = body | {"title": "untitled"}
    yield


@lie(
    "Replacing a task with one that has a number given by Alice is refused",
    "Changing a task to have a misspelt field is refused",
)
def unknown_fields_of_a_change_are_dropped(exchange: Exchange) -> Iterator[None]:
    """A field that is not known is dropped."""
    body = exchange.request.json
    if isinstance(body, dict) and exchange.request.method != "POST":
        known = {name: value for name, value in body.items() if name in {"title", "description", "complete"}}
        exchange.request.json = known or {"complete": False}
    yield


@lie("A task that is done can be replaced with one that is open")
def replacing_never_reopens(exchange: Exchange) -> Iterator[None]:
    """A task that is done stays so when it is replaced."""
    if asks_for(exchange, "PUT", "complete"):
        for row in exchange.sql("SELECT complete FROM task WHERE id = :id", id=id_of(exchange)):
            exchange.request.json = exchange.request.json | {"complete": row["complete"]}
    yield


@lie("All parts can be changed at once")
def state_is_forgotten_beside_a_title(exchange: Exchange) -> Iterator[None]:
    """Who changes title and state at once changes the title alone."""
    if asks_for(exchange, "PATCH", "title", "complete"):
        exchange.request.json = {name: value for name, value in exchange.request.json.items() if name != "complete"}
    yield


@lie("However much is wrong with one task, it is told at once")
def three_errors_are_told(exchange: Exchange) -> None:
    """Of more than three errors, three are told."""
    errors = (exchange.response.json or {}).get("errors", []) if exchange.response.status == 422 else []
    if len(errors) > 3:
        detail = "; ".join(exchange.response.json["detail"].split("; ")[:3])
        edit(exchange, errors=errors[:3], detail=detail)


@lie("No more than 64 characters of a name that appears twice are repeated")
def repeated_name_is_told_whole(exchange: Exchange) -> None:
    """Of a name that appears twice all characters are repeated."""
    if exchange.response.status == 422 and "must appear only once" in exchange.response.json["detail"]:
        exchange.response.body = exchange.response.body.replace(b"x" * 64, b"x" * 1000)


@lie("A new task sent as objects nested 10,000 deep is refused", "A new task sent as the number Infinity is refused")
def what_should_not_be_read_is_read(exchange: Exchange) -> None:
    """What is no JSON, or nested too deep, is read, and found to be no task."""
    if exchange.response.status == 400 and exchange.request.method == "POST":
        refuse(exchange, 422, "VALIDATION_ERROR", "body: must be an object")


@lie("A new task declared as application/json; charset=utf-8 is accepted")
def one_spelling_of_the_type_is_known(exchange: Exchange) -> Iterator[None]:
    """JSON that is declared in another spelling is refused."""
    if exchange.request.headers.get("content-type", "application/json") != "application/json":
        exchange.request.headers["content-type"] = "text/plain"
    yield


# Lists at their edges


@lie("I can skip the first of what is open")
def skipping_forgets_the_filter(exchange: Exchange) -> Iterator[None]:
    """Who skips tasks of one state is given those of both."""
    if "offset=" in exchange.request.query:
        exchange.request.query = "&".join(part for part in query_of(exchange) if not part.startswith("complete="))
    yield


@lie("The pages of what is open hold nothing else")
def open_is_taken_for_either(exchange: Exchange) -> None:
    """The link to the next page of what is open leads to tasks of either state."""
    if "link" in exchange.response.headers:
        exchange.response.headers["link"] = exchange.response.headers["link"].replace("complete=false&", "")


@lie("After a page for which some were skipped, the next one goes on where it ended")
def tasks_are_skipped_on_each_page(exchange: Exchange) -> None:
    """The link to the next page skips as many tasks again."""
    if "link" in exchange.response.headers and "offset=" in exchange.request.query:
        exchange.response.headers["link"] = exchange.response.headers["link"].replace("?", "?offset=1&")


@lie("Behind my last task there is an empty page: the first 3 of 3 are skipped")
def empty_page_has_no_total(exchange: Exchange) -> None:
    """An empty page says that there are no tasks at all."""
    if is_list(exchange) and not exchange.response.json["tasks"] and "offset=" in exchange.request.query:
        edit(exchange, count=0)


@lie("A page may begin after the largest number that a task can have")
def largest_number_is_too_large(exchange: Exchange) -> Iterator[None]:
    """The largest number is refused."""
    exchange.request.query = exchange.request.query.replace("9223372036854775807", "9223372036854775808")
    yield


@lie('A list with "TRUE" for complete is refused', 'A list with "1" for complete is refused')
def other_spellings_are_true(exchange: Exchange) -> Iterator[None]:
    """Other words for true are taken."""
    exchange.request.query = re.sub("complete=(TRUE|1)$", "complete=true", exchange.request.query)
    yield


@lie("A list with complete twice is refused")
def last_of_two_states_counts(exchange: Exchange) -> Iterator[None]:
    """Of two states the last one counts."""
    if exchange.request.query.count("complete=") > 1:
        exchange.request.query = query_of(exchange)[-1]
    yield


@lie("A list with a limit written as 1_0 is refused", "A list with an offset that is too large is refused")
def odd_numbers_are_taken(exchange: Exchange) -> Iterator[None]:
    """A limit with an underscore is read as a number, and an offset without an end as the largest one."""
    query = exchange.request.query.replace("limit=1_0", "limit=10")
    exchange.request.query = query.replace("offset=9223372036854775808", "offset=9223372036854775807")
    yield


# Keys and versions at their edges


@lie("Keys that differ in their case are different keys")
def case_of_a_key_does_not_count(exchange: Exchange) -> Iterator[None]:
    """Keys that differ in their case are one key."""
    if "idempotency-key" in exchange.request.headers:
        exchange.request.headers["idempotency-key"] = exchange.request.headers["idempotency-key"].lower()
    yield


@lie("an Idempotency-Key of 255 letters stands for one task, wherever it is sent again")
def longest_key_is_too_long(exchange: Exchange) -> Iterator[None]:
    """A key of 255 letters is refused."""
    if len(exchange.request.headers.get("idempotency-key", "")) == 255:
        exchange.request.headers["idempotency-key"] += "x"
    yield


@lie("A task that is sent with a key has its description too")
def description_is_lost_with_a_key(exchange: Exchange) -> Iterator[None]:
    """A task that is sent with a key loses its description."""
    if asks_for(exchange, "POST", "description") and "idempotency-key" in exchange.request.headers:
        exchange.request.json = {"title": exchange.request.json["title"]}
    yield


@lie("A key that was used for a task with another description is refused")
def title_is_all_that_a_key_stands_for(exchange: Exchange) -> Iterator[None]:
    """A key that was used for a task of the same title counts as used for this one."""
    if asks_for(exchange, "POST", "title"):
        first = exchange.memory.setdefault("first", exchange.request.json)
        if first["title"] == exchange.request.json["title"]:
            exchange.request.json = first
    yield


@lie("Two tasks with different keys are two tasks")
def keys_age_with_each_task(exchange: Exchange) -> None:
    """Each new task makes all keys an hour older."""
    if is_task(exchange, "POST"):
        exchange.sql("UPDATE idempotency_key SET created_at = created_at - interval '1 hour'")


@lie(
    "A tab that has seen the latest version can replace the task",
    "A tab that has seen the latest version can delete the task",
)
def latest_version_is_refused(exchange: Exchange) -> Iterator[None]:
    """Whoever names the latest version is told that the task has changed."""
    if "if-match" in exchange.request.headers:
        exchange.request.headers["if-match"] = '"older"'
    yield


@lie(
    "A tab may replace the task whatever its version is, if it says so",
    "A tab may delete the task whatever its version is, if it says so",
)
def any_version_is_no_version(exchange: Exchange) -> Iterator[None]:
    """Whoever asks for no version in particular is told that the task has changed, unless they change a part."""
    if exchange.request.headers.get("if-match") == "*" and exchange.request.method != "PATCH":
        exchange.request.headers["if-match"] = '"older"'
    yield


@lie("Of two tabs that replace the task in the same moment, one is told that the task has changed")
def both_tabs_replace(exchange: Exchange) -> Iterator[None]:
    """The second tab replaces what the first one has saved."""
    if exchange.request.method == "PUT":
        exchange.request.headers.pop("if-match", None)
    yield


@lie("Bob can't open a task of Alice's that Bob claims to have seen in its latest version")
def guess_about_anothers_task_is_confirmed(exchange: Exchange) -> None:
    """Who guesses the version of another's task is told that it has not changed."""
    if exchange.response.status == 404 and "if-none-match" in exchange.request.headers:
        exchange.response.status, exchange.response.body = 304, b""
        exchange.response.headers["etag"] = exchange.request.headers["if-none-match"]


@lie("Bob can't delete a task of Alice's that Bob claims to have seen in another version")
def version_of_anothers_task_is_told(exchange: Exchange) -> None:
    """Who would delete another's task is told that it has changed, and so that it is there."""
    if exchange.response.status == 404 and exchange.request.method == "DELETE":
        refuse(exchange, 412, "VALIDATION_ERROR", "The task has changed in the meantime: look at it again.")


# What answers, log and metrics have, whatever was asked


@lie("A page of the frontend can read the answer to a refusal of a wrong field")
def refusals_are_kept_from_pages(exchange: Exchange) -> None:
    """No page may read a refusal other than one to sign in."""
    if exchange.response.status >= 403:
        drop_header(exchange, "access-control-allow-origin")


@lie("A page of the frontend can read the answer to a new task")
def page_can_read_no_headers(exchange: Exchange) -> None:
    """A page may read no header of an answer to a write."""
    if exchange.request.method not in {"GET", "OPTIONS"}:
        drop_header(exchange, "access-control-expose-headers")


@lie("The headers of a refusal of a task that is not there are those of every answer, and its own")
def refusal_may_be_given_to_any_page(exchange: Exchange) -> None:
    """A cache may give the refusal of a task to a page of another site."""
    if exchange.response.status == 404:
        drop_header(exchange, "vary")


@lie("A page of another site can't read what its visitor's token would show")
def token_lets_any_page_read(exchange: Exchange) -> None:
    """A page of any site may read what a token shows."""
    if exchange.response.status == 200 and "origin" in exchange.request.headers:
        exchange.response.headers["access-control-allow-origin"] = exchange.request.headers["origin"]


@lie("Alice can't create a task over http", "Alice can't delete a task over http")
def writes_may_come_over_http(exchange: Exchange) -> Iterator[None]:
    """In production only reading is refused over http."""
    if exchange.request.method != "GET":
        exchange.request.scheme = "https"
    yield


@lie("Over https a refusal tells the browser the same")
def refusal_says_nothing_of_https(exchange: Exchange) -> None:
    """A refusal does not tell the browser to use https alone."""
    if exchange.response.status >= 400:
        drop_header(exchange, "strict-transport-security")


@lie("A token that was good is refused once it has expired")
def good_token_stays_good(exchange: Exchange) -> Iterator[None]:
    """A token that was accepted once is accepted for ever."""
    sent = exchange.request.headers.get("authorization", "")
    if sent in exchange.memory:
        sign_in_as(exchange, "alice")
    yield
    if exchange.response.status == 200:
        exchange.memory[sent] = True


@lie_in_log(
    "A request for her task that has not changed leaves one line in the log",
    "A request for a deletion of her task leaves one line in the log",
)
def answers_without_a_body_are_not_logged(line: LogLine) -> list[LogLine]:
    """A request whose answer has no body leaves no line."""
    return [] if line.get("status") in {204, 304} else [line]


@lie_in_log("A request for a task with a wrong field leaves one line in the log")
def log_has_the_token(line: LogLine) -> list[LogLine]:
    """The log has the token of whoever is refused."""
    return [line | {"token": token("alice")}]


@lie_in_log("Two tokens at once are refused", "A password is not a token")
def log_has_what_was_sent_to_sign_in(line: LogLine) -> list[LogLine]:
    """The log has what somebody has sent to sign in."""
    return [line | {"reason": f"not a bearer token: Basic YWxpY2U6c2VzYW1l, {token('alice')}"}]


@lie("A request for a new task is counted", "A request for a completion of her task is counted")
def writes_are_counted_as_others(exchange: Exchange) -> None:
    """Whatever is not a GET is counted as some other method."""
    change_metrics(exchange, 'method="(POST|PUT|PATCH|DELETE)"', 'method="OTHER"')


@lie("A request to an address that nobody has is counted, and the address is not told")
def addresses_are_told(exchange: Exchange) -> None:
    """The metrics name each address that somebody has tried."""
    change_metrics(exchange, 'endpoint="none"', 'endpoint="/no/such/address"')


@lie("The response times are those that people wait for")
def response_times_are_rounded(exchange: Exchange) -> None:
    """Response times are added up in whole seconds."""
    change_metrics(exchange, r"^(http_request_duration_seconds_sum\{.*\}) .*$", r"\1 0.0")


@lie("An error that nobody expected is counted")
def failures_are_no_errors(exchange: Exchange) -> None:
    """A failure of the service itself is not counted as an error."""
    change_metrics(exchange, r'^http_errors_total\{.*status="500".*$', "")
