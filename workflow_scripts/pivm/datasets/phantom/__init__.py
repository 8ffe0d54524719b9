"""An embedded data set: procedural abdominal CT, written as NIfTI in TotalSegmentator's layout."""
