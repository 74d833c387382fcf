"""What is kept, and the only way to reach it: plain values in, frozen records out, no wire."""
