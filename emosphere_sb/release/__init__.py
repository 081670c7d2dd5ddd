"""Package trained models for release, verify them and load them."""
