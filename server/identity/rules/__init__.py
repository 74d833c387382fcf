"""What identity decides: pure, without clock, randomness or store."""
