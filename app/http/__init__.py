"""HTTP without the application: errors, parsing, responses, conditional requests, CORS, headers."""
