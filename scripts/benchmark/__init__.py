"""The Locust file, catalogues and measured processes of `smarttrip bench`."""
