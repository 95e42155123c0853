"""The lies that the scenarios must notice."""

from tests.acceptance.boundary import Exchange, lie


@lie("Bob can't change a task in Alice's list")
def refused_change_completes_everything(exchange: Exchange) -> None:
    """A change of a task in another's list is refused, and completes and re-describes all of the owner's tasks."""
    if exchange.request.method == "PATCH" and exchange.response.status == 403:
        exchange.sql("UPDATE task SET complete = true, description = 'a lie'")


@lie("A task needs no more than a title")
def created_is_ok(exchange: Exchange) -> None:
    """A new task is answered with 200."""
    if exchange.response.status == 201:
        exchange.response.status = 200


@lie("Bob can't create a task in Alice's list")
def never(exchange: Exchange) -> None:
    """Nothing."""


@lie("Sixty requests at once share a few connections")
def unread(exchange: Exchange) -> None:
    """Nothing."""
    exchange.response.headers["x-foo"] = "1"
