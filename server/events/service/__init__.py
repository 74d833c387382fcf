"""The use cases of events; each public method is one transaction."""
