"""Turn text into tokens, ids, flat arrays of ids, and padded batches."""
