"""The lengths that tables and requests share."""

USER_ID_MAX = 255
"""Characters of a user's id."""
KEY_MAX = 255
"""Characters of an idempotency key."""
