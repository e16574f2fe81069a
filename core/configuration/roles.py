"""Roles: the parts of the API, which processes of their own can serve."""

from typing import Literal, get_args

Role = Literal["recommendations", "resources", "events", "admin"]

ROLES: tuple[Role, ...] = get_args(Role)
