"""A local web page that shows predictions for recordings: sphere, timeline and numbers."""
