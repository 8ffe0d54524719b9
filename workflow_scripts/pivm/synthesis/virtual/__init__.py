"""Virtual patients: new anatomies from the label maps of training patients."""
