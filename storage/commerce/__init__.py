"""What is sold, how much of it there is, and who ordered it."""
