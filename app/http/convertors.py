"""Path convertor for ids."""

from starlette.convertors import IntegerConvertor, register_url_convertor


class BoundedIntConvertor(IntegerConvertor):
    """Match at most 18 digits, so that every id fits a 64-bit integer; longer ones are 404."""

    regex = "[0-9]{1,18}"


def register_path_ids() -> None:
    register_url_convertor("int", BoundedIntConvertor())
