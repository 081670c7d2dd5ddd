"""Local web page that shows predictions for recordings as a sphere, timeline and numbers."""
