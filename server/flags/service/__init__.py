"""The use cases of flags; each public method is one transaction, or none where it asks what is in memory."""
