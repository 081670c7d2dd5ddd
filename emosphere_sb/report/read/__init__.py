"""Read what a report evaluates: runs, prediction files, file lists, training logs."""
