"""Clients that others wrote for tus, unmodified."""
