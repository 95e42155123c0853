"""Who the caller is.

The doors are `gate.Authentication`, the layer in front of the routes, and `gate.CurrentUser`.
"""
