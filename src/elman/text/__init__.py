"""From text to padded batches: tokens, ids, flat arrays of ids, batches."""
