"""Events: what happened, each stored once with a verdict of its own, and counted exactly."""
