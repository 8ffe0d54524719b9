"""Models on the hub: what of a model folder may leave, the calls, and what comes back is checked."""
