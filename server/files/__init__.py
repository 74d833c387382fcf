"""Files: uploaded over lines that break, and served once a scan found them clean."""
