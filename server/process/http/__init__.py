"""The HTTP side: what probes, scrapers, verifiers of tokens and senders of webhooks request."""
