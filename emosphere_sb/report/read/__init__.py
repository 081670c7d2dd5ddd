"""Read the input of a report: runs, prediction files, file lists and training logs."""
