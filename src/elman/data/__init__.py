"""Load data sets, one source a file, and find them by name."""
