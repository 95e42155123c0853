"""The database's tables, version by version (Alembic)."""

from pathlib import Path

from alembic import command
from alembic.config import Config


def upgrade(url: str) -> None:
    """Run all migrations on the database at this URL.

    The configuration is built here, because an installed package has no pyproject.toml.
    """
    config = Config(attributes={"url": url})
    config.set_main_option("script_location", str(Path(__file__).parent))
    command.upgrade(config, "head")
