"""The one way to PostgreSQL.

Other packages use `pool.Pool`; commands, which have no event loop, use `dsn.connect`.
"""

from app.core.database import literals

literals.register()  # here, so that no module of this package is used without it
