"""The API's side of tracking: it appends to the stream that the worker stores."""
