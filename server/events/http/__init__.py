"""What events has on the HTTP side."""
