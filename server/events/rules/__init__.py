"""What is decided of events, without a database and without a clock."""
