"""`smarttrip drill`: the system under load while its parts fail in turn; tests take servers and load from here."""
