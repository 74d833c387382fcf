"""Webhooks: what others tell us, verified, and what we tell others, signed."""
