"""The one way to PostgreSQL. Its door: `pool.Pool`; commands without an event loop use `dsn.connect`."""
