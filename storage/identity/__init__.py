"""Who may come in: accounts, their roles, their sessions, and the keys that sign tokens."""
