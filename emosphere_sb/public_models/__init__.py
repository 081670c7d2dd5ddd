"""Published checkpoints of other projects, loaded through the interface of this package."""
