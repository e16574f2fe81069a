"""What an `Endpoint` is; validation, cached endpoints, the admin guard, the OpenAPI document."""
