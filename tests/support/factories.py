"""Tasks made straight in the database, in sessions that the service knows nothing of."""

from typing import Any

from factory.alchemy import SQLAlchemyModelFactory
from factory.faker import Faker as Fake
from faker import Faker
from sqlalchemy import Engine, text
from sqlmodel import Session

from app.models import Task

Faker.seed(4711)


class TaskFactory(SQLAlchemyModelFactory):
    """A task; whatever is not said is made up, but for the state: open."""

    class Meta:
        """Committed at once, so that the service sees it."""

        model = Task
        sqlalchemy_session_persistence = "commit"

    user_id = Fake("user_name")
    title = Fake("sentence", nb_words=4)
    description = None
    complete = False


def make_task(engine: Engine, **values: Any) -> dict[str, Any]:
    """Make a task and return its row."""
    with Session(engine) as session:
        TaskFactory._meta.sqlalchemy_session = session
        task = TaskFactory.create(**values)
        session.refresh(task)
        row: dict[str, Any] = task.model_dump()
        return row


def make_tasks(engine: Engine, count: int, **values: Any) -> None:
    """Make many tasks at once, called "Task 0" and so on."""
    with Session(engine) as session:
        session.add_all([TaskFactory.build(**{"title": f"Task {place}"} | values) for place in range(count)])
        session.commit()


def rows(engine: Engine, user_id: str) -> list[dict[str, Any]]:
    """Read a user's tasks from the database itself, oldest first."""
    with engine.connect() as connection:
        found = connection.execute(text("SELECT * FROM task WHERE user_id = :user ORDER BY id"), {"user": user_id})
        return [dict(row) for row in found.mappings()]
