"""Ids in paths."""

from starlette.convertors import IntegerConvertor, register_url_convertor


class BoundedIntConvertor(IntegerConvertor):
    """Digits, but not so many that they become a number that nothing can hold."""

    regex = "[0-9]{1,18}"


def register_path_ids() -> None:
    register_url_convertor("int", BoundedIntConvertor())
