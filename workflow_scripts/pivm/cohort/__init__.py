"""Who is in a data set, which slices are used, and what the training split says about its organs."""
