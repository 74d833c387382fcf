"""files' use cases: uploads, files, and scans."""
