"""The decisions of tasks."""
