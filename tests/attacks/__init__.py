"""What a mere connection, or a customer's token, may cost: the budget of SECURITY.md, held by one table of attacks."""
