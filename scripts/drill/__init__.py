"""`smarttrip drill`: the split system under load, while its parts fail one after the other."""
