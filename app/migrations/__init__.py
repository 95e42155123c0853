"""The database's tables, version by version (Alembic)."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script.revision import ResolutionError
from alembic.util import CommandError

from app.core.settings import SettingsError


def upgrade(url: str) -> None:
    """Run all migrations on the database at this URL.

    The configuration is built here, because an installed package has no pyproject.toml. Raises
    SettingsError if a newer version of the service has run its own migrations on the database.
    """
    config = Config(attributes={"url": url})
    folder = str(Path(__file__).parent)
    config.set_main_option("script_location", folder.replace("%", "%%"))  # ConfigParser's escape
    try:
        command.upgrade(config, "head")
    except CommandError as failure:
        if not isinstance(failure.__cause__, ResolutionError):
            raise
        raise SettingsError(
            "DATABASE_URL: its tables are of a newer version of todo-api (revision"
            f" {failure.__cause__.argument}, unknown here). Install that version, or serve without"
            " --migrate."
        ) from failure
