"""What flags keeps: flags and segments as they stand and stood, changes to come, and how often each was served."""
