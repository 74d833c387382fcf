"""tasks' messages to plain values, and back."""
