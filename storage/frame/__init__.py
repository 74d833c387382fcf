"""What the frame keeps: which requests came before, and what was answered."""
