"""What everything runs on: files, memory, time, threads."""
