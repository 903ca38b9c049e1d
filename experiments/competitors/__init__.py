"""What `benchmark` compares: each competitor's layers and networks, and the process it runs in."""
