"""Base of the models of requests and responses."""

from pydantic import BaseModel, ConfigDict


class ApiModel(BaseModel):
    """A model whose fields are described by the docstrings below them, also in the OpenAPI document."""

    model_config = ConfigDict(use_attribute_docstrings=True)
