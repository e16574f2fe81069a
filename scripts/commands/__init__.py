"""Options and output of the commands; the packages that do the work are imported when a command runs."""
