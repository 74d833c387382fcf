"""flags' messages to plain values, and back."""
