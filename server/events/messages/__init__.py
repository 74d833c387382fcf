"""events' messages to plain values, and back."""
