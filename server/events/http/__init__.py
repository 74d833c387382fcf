"""Events on the HTTP side."""
