"""`smarttrip size`: instances, memory, disk and cost for a number of users and departures, from measured figures."""
