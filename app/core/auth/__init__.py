"""Who the caller is.

Its doors are two: `gate.Authentication`, the middleware in front of the routes, and
`gate.CurrentUserId`, with which an endpoint gets the user's id. Commands use `tokens` and `egress`
too.
"""
