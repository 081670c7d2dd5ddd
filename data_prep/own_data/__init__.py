"""Your own data: a table of files and labels to utterances."""
