"""What articles decides, without asking anybody."""
