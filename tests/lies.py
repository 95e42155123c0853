"""The lies of `make lies`: each breaks one promise at the boundary, and names the scenarios that must notice it.

A lie is a function whose docstring says what it breaks. It knows the specification, the tables and the tests' own
tokens, and nothing of the code behind: it changes a request, a response, a row, the clock of whoever waits, or a line of
the log.
"""

import re
import time
from collections.abc import Iterator
from typing import Any

import jwt

from tests.acceptance.boundary import Exchange, lie
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


@lie("Bob can't change a task of Alice's through their own list")
def hidden_change_is_made(exchange: Exchange) -> None:
    """A change of another's task is answered as one of no task, and completes it all the same."""
    if exchange.request.method == "PATCH" and exchange.response.status == 404:
        exchange.sql("UPDATE task SET complete = true WHERE id = :id", id=id_of(exchange))


@lie("An action that is not supported")
def refused_deletion_of_the_list_completes_everything(exchange: Exchange) -> None:
    """Deleting the whole list is refused, and completes every task."""
    if exchange.request.method == "DELETE" and exchange.response.status == 405:
        exchange.sql("UPDATE task SET complete = true")


@lie("Replacing a task with one that has no state is refused", "Changing a task to have an empty title is refused")
def invalid_change_touches_the_task(exchange: Exchange) -> None:
    """A change that breaks a rule is refused, and moves the time of the task's last change."""
    if exchange.response.status == 422 and exchange.request.method in {"PUT", "PATCH"}:
        exchange.sql("UPDATE task SET updated_at = now() + interval '1 second' WHERE id = :id", id=id_of(exchange))


@lie("A new task with an empty title is refused")
def invalid_task_is_created(exchange: Exchange) -> None:
    """A new task that breaks a rule is refused, and stands on another's list."""
    if exchange.request.method == "POST" and exchange.response.status == 422:
        exchange.sql("INSERT INTO task (user_id, title) VALUES ('bob', 'untitled')")


@lie("A stranger can't delete a task", "A token that has expired is refused")
def refused_stranger_deletes(exchange: Exchange) -> None:
    """Whoever is told to sign in has reopened the task that they asked for, or described all of the list."""
    if exchange.response.status == 401:
        exchange.sql(
            "UPDATE task SET description = 'seen by a stranger' WHERE user_id = :owner", owner=owner_of(exchange)
        )


@lie("A tab that has not seen the latest change can't replace a task")
def outdated_tab_describes(exchange: Exchange) -> None:
    """A tab that has not seen the latest change is told so, and what it sent is stored as the description."""
    if exchange.response.status == 412:
        exchange.sql("UPDATE task SET description = 'of the second tab' WHERE id = :id", id=id_of(exchange))


@lie("A request of one byte more than allowed is too large")
def too_large_request_is_half_stored(exchange: Exchange) -> None:
    """A request that is too large is refused, and its beginning is stored."""
    if exchange.response.status == 413:
        exchange.sql("INSERT INTO task (user_id, title) VALUES ('bob', 'Buy m')")


@lie("A task that never existed", "A list with a misspelt filter is refused")
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


@lie("The database's machine loses power", "The database is restarted between two of Alice's tasks")
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
        exchange.sql("INSERT INTO task (user_id, title) SELECT user_id, title FROM task")


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


@lie("an empty description is still accepted")
def empty_description_is_none(exchange: Exchange) -> None:
    """An empty description is taken for none."""
    if is_task(exchange, "POST") and exchange.response.json["description"] == "":
        edit_task(exchange, description=None)


@lie("a title of 200 characters is still accepted", "a title of 200 emoji is still accepted")
def title_is_cut(exchange: Exchange) -> None:
    """A title is cut after 199 characters."""
    if is_task(exchange, "POST"):
        edit_task(exchange, title=exchange.response.json["title"][:199])


@lie("a description of 1,000 characters is still accepted")
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


@lie("Any language and any emoji fit into a title")
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


@lie("A deleted task's number is never used again")
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


@lie("The time of the last change moves forward", "Completing a completed task does no harm")
def time_of_change_stays(exchange: Exchange) -> Iterator[None]:
    """A change does not move the time of the last change."""
    before = {row["id"]: row for row in tasks(exchange)}
    yield
    if is_task(exchange, "PATCH"):
        set_time(exchange, "updated_at", before[id_of(exchange)]["updated_at"])


@lie("It moves forward even if the new title equals the old one")
def time_stays_where_nothing_differs(exchange: Exchange) -> Iterator[None]:
    """A change that changes nothing does not move the time of the last change."""
    before = {row["id"]: row for row in tasks(exchange)}
    yield
    if is_task(exchange, "PATCH"):
        old = before[id_of(exchange)]
        if exchange.response.json["title"] == old["title"]:
            set_time(exchange, "updated_at", old["updated_at"])


@lie("The time of the last change moves forward")
def time_of_creation_moves(exchange: Exchange) -> None:
    """A change moves the time of the creation too."""
    if is_task(exchange, "PATCH"):
        (row,) = exchange.sql("SELECT * FROM task WHERE id = :id", id=id_of(exchange))
        set_time(exchange, "created_at", row["updated_at"])


@lie("The time of the last change moves forward", "A task shows all its details")
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


@lie("The time of the last change moves forward")
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


@lie("A new task with an owner of its own is refused", "Changing a task to have an owner of its own is refused")
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
    if isinstance(body, dict) and body.get("complete") in ("yes", 1):
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


@lie("A request of a task as plain text can't be read", "A request of a task without a content type can't be read")
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


@lie("A change of nothing is refused")
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


@lie("A list holds five hundred tasks where I don't say how many")
def total_is_of_the_page(exchange: Exchange) -> None:
    """The total is the length of the page."""
    if is_list(exchange):
        edit(exchange, count=len(exchange.response.json["tasks"]))


@lie("Only the open tasks are listed when I ask for them", "Only the completed tasks are listed when I ask for them")
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


@lie("Only the completed tasks are listed when I ask for them", "Only the open tasks are listed when I ask for them")
def filter_is_ignored(exchange: Exchange) -> Iterator[None]:
    """A list of one state has all tasks."""
    exchange.request.query = "&".join(part for part in query_of(exchange) if not part.startswith("complete="))
    yield


@lie("Only completed tasks are on the pages of the completed tasks")
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


@lie("A list holds five hundred tasks where I don't say how many", "A list of 5 tasks, 2 to a page, ends on page 3")
def there_is_no_link(exchange: Exchange) -> None:
    """There is no link to the next page."""
    drop_header(exchange, "link")


@lie("A list that just fits on its page has no next page", "A list of 4 tasks, 2 to a page, ends on page 2")
def last_page_has_a_link(exchange: Exchange) -> None:
    """The last page has a link to one more, which is empty."""
    if is_list(exchange) and exchange.response.json["tasks"] and "link" not in exchange.response.headers:
        last = exchange.response.json["tasks"][-1]["id"]
        exchange.response.headers["link"] = f'<{exchange.request.path}?limit=2&after={last}>; rel="next"'


@lie("A list holds five hundred tasks where I don't say how many")
def link_names_a_host(exchange: Exchange) -> None:
    """The link to the next page names the host that the service believes to have."""
    if "link" in exchange.response.headers:
        exchange.response.headers["link"] = exchange.response.headers["link"].replace("</", "<http://testserver/")


@lie("A task added while I page does not push another one off its page")
def pages_go_by_their_number(exchange: Exchange) -> None:
    """The link to the next page counts tasks from the start, so that a new task shifts them."""
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


@lie("A list holds five hundred tasks where I don't say how many")
def page_holds_a_hundred(exchange: Exchange) -> Iterator[None]:
    """A page holds a hundred tasks where nobody says how many."""
    if not exchange.request.query:
        exchange.request.query = "limit=100"
    yield


@lie("I can skip a number of tasks")
def nothing_is_skipped(exchange: Exchange) -> Iterator[None]:
    """A list starts at its first task, however many are to be skipped."""
    exchange.request.query = re.sub(r"offset=\d+", "offset=0", exchange.request.query)
    yield


@lie("I can skip a number of tasks")
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
