"""What any FastAPI service on PostgreSQL behind Better Auth needs.

Of the product it knows the name alone, `settings.PROGRAM`.

It has five packages, its rooms: `server`, `http`, `observability`, `auth` and `database`. A room
imports from those to its right in this list (`auth` not from `database`), and from the modules
that all share: `settings`, `errors`, `limits`, `deadline`, `exchange` and `printable`.
`development` and `embedded` make a database and a secret where none is configured; in production
nothing is made. tests/test_layers.py holds the order.

The life of a request:

1. server/protocol.py reads its head, and refuses what is not HTTP/1 within the limits.
2. http/middleware.py, RequestContext: its deadline and its id begin.
3. http/cors.py answers a preflight; http/middleware.py, ErrorBoundary, answers the exceptions that
   reach it: those of 4 and of StrictUrl, and what is left when main.py's handlers have answered
   those of 5 to 7.
4. auth/gate.py, Authentication: whose token it has, and whether the path is that user's.
5. http/requests.py: StrictUrl checks the path and the query, StrictRoute reads query and body.
6. FastAPI validates them by schemas.py, and calls the endpoint in router.py.
7. store.py sends a statement through database/pool.py, which waits until the deadline at most.
8. http/answers.py writes the answer as JSON; RequestContext logs and counts it.

`R-nn` in a docstring or a comment is a ruling: features/catalogue.toml has them, under [rulings].
"""
