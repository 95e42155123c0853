"""Who the caller is.

A request meets `gate.Authentication`, the middleware in front of the routes, and an endpoint
`gate.CurrentUserId`. Commands use `tokens` and `egress` too.
"""
