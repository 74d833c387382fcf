"""Webhooks: verified in, signed out, each effect once."""
