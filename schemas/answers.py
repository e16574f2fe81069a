"""Envelopes of the answers; the entities in them are in `schemas.entities`."""

from typing import Literal

from pydantic import BaseModel


class Alive(BaseModel):
    status: Literal["ok"]
