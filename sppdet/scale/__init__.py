"""Detection on more photographs than one machine has time for: shards, and Ray."""
