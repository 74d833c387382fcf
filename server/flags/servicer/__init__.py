"""The services of flags: message in, message out, no decisions."""
