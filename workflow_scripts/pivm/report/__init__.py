"""Tables, figures, model cards and the manifest."""
