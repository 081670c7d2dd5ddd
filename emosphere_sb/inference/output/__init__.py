"""Write predictions to the console, to tables and to plots."""
