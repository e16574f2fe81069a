"""The commands' options and output; the work is in the packages, which a command imports when it runs."""
