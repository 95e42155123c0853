"""Who the caller is.

Other packages use `gate.Authentication`, the middleware in front of the routes, and
`gate.CurrentUserId`.
"""
