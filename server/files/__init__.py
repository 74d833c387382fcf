"""Files: nothing is served that was not scanned; an upload resumes."""
