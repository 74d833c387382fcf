"""What a process keeps in its data folder: its master key, its first admin, its sandbox; and the files themselves."""
