"""Whether anything that people write runs in a real browser: `make test-browser`."""
