"""What files keeps: files, uploads with their pieces, contents with their verdicts, and what owners store."""
