"""What webhooks keeps: what came in, where to send to, and what is on its way."""
