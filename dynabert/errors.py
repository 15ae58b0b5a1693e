"""Errors that are the user's to mend: an entry point shows the sentence and no traceback."""


class UserError(ValueError):
    """Bad input. The message names the value, what is allowed, and what to do."""
