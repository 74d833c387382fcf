"""What flags decides: frozen values and pure decisions, no I/O, no clock, no SQL."""
