"""The one way to PostgreSQL.

Its door is `pool.Pool`; commands, which have no event loop, use `dsn.connect`.
"""
