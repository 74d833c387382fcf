"""What webhooks keeps: where to send to, and what is on its way."""
