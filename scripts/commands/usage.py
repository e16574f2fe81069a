"""Wrong usage in our own sentences: the command line's library has texts of its own for each error."""

import re
from ast import literal_eval

from typer.exceptions import TyperException

NO_SUCH_COMMAND = re.compile(r"No such command (?P<name>.+?)\.(?: Did you mean (?P<similar>.+)\?)?", re.DOTALL)


def describe_usage(error: TyperException) -> str:
    """Return one or two sentences: what was wrong, and which command's help says what would be right."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "smarttrip"
    return f"{_describe(error)} See: {path} --help"


def _describe(error: TyperException) -> str:
    match type(error).__name__:
        case "BadParameter":
            return f"{_parameter(error)} {error.message}."
        case "MissingParameter":
            return f"{_parameter(error)} is missing."
        case "NoSuchOption" | "BadOptionUsage":
            return _describe_option(error.message, getattr(error, "option_name", ""))
        case _ if found := NO_SUCH_COMMAND.fullmatch(error.message):
            return _describe_unknown_command(found["name"], found["similar"] or "")
        case _:
            return f"There are too many arguments: {error.message.rpartition('(')[2].rstrip(')')}."


def _describe_unknown_command(name: str, similar: str) -> str:
    """Return the sentence for a name, and for similar ones separated by commas, each as Python writes a string."""
    quoted: tuple[str, ...] = literal_eval(f"({name}, {similar})")
    unknown, *commands = [word if word.isprintable() else repr(word) for word in quoted]
    suggestion = f" Did you mean {' or '.join(commands)}?" if commands else ""
    return f"There is no command {unknown}.{suggestion}"


def _describe_option(message: str, name: str) -> str:
    if message.startswith("No such option"):
        return f"There is no option {name}."
    return f"The option {name} {'takes no' if 'does not take' in message else 'needs a'} value."


def _parameter(error: TyperException) -> str:
    """Return the name of a parameter as it is typed: `--port`, or `EMAIL`."""
    hint = getattr(error, "param_hint", None)
    parameter = getattr(error, "param", None)
    if hint or parameter is None:
        return str(hint or "A value")
    # An argument's metavar is what the help calls it.
    return str(parameter.metavar if parameter.param_type_name == "argument" else parameter.opts[0])
