"""What a process keeps in its data folder: the embedded database, its master key, its first admin, its sandbox."""
