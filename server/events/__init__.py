"""Events: each is counted once, and asked about by time."""
