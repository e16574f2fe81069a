"""What API and worker share: clients, errors, clock, business date, times of calls to the servers."""
