"""The proof that acknowledged events are stored, each once, whatever is killed: `make prove-events`."""
