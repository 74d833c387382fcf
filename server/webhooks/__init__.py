"""Webhooks: what others send us, verified, and what we send others, signed."""
