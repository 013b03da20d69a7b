"""Sources of sequences: one a file, and the table of data sets."""
