"""Published checkpoints of other projects, loaded through the same interface."""
