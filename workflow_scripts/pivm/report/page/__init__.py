"""The page of a run: one folder that a browser opens from the disk or from a web server, without a network."""
