"""What one connection, or a customer's token, may cost: the budget of SECURITY.md, tested by one table of attacks."""
