"""What is decided about events: frozen values and pure functions."""
