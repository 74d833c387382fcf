"""The process: it answers calls."""
