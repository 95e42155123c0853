"""The lengths that tables and the core's requests share.

Those of a task's fields are in app/models.py.
"""

USER_ID_MAX = 255
"""Characters of a user's id."""
KEY_MAX = 255
"""Characters of an idempotency key."""
