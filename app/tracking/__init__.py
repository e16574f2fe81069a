"""From requests to the tracking stream, which the worker stores."""
