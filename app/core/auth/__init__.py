"""Who the caller is.

Requests come in by `gate`: the middleware `Authentication` stands in front of the routes, and
`CurrentUserId` gives an endpoint the user's id. `main` makes the one `tokens.Verifier`, and
commands use `tokens` and `egress` too.
"""
