"""Training that generators and segmenters share: loop, feed of slices, device, processes, model files."""
