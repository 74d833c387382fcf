class Failure(Exception):
    """A command cannot do what it was asked; the text says why, and the mend, in a line or a few."""
