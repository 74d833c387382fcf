"""The wire of events: message in, message out."""
