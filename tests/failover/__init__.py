"""What a crowd is promised while servers and databases die: faults, callers who remember, and a checker of its own."""
