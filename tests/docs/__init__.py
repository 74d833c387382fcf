"""What the pages say of each other and of the code."""
