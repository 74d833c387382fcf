"""Events: what happened, each counted once."""
