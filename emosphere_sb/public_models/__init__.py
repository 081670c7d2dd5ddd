"""Load published checkpoints of other projects through the same interface."""
