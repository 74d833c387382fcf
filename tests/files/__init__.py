"""files: uploads, storage, scans and sweeps."""
