"""Feature flags as flagd has them: kept with their history, and evaluated from a snapshot in memory."""
