"""What made a result: hashes of the code behind a script."""
