"""State and control of the index for administrators."""
