"""Files in and out: NIfTI volumes, label maps, the patient's outline, faults, and the in-plane standard."""
