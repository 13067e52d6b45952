"""What goes into images, one folder each, and the Python that builds and runs them."""
