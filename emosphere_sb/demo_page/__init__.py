"""A local page to record or drop speech on: the point on the sphere, the time line, the numbers."""
