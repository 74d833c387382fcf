"""What a person types: the command `backroom`, a module a command."""
