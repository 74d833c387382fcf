"""What the frame keeps for all modules: requests and their answers, the record, the log of events, and the inbox."""
