"""Reader for your own data, described by a CSV table of files and labels."""
