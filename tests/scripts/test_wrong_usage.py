"""Every command, option, argument and setting with wrong values: one line in our own words, and the exit code."""

import re
import socket
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from core.configuration.settings import Settings, SettingsError, load_settings
from scripts.errors import ExitCode
from tests.scripts.commands_under_test import COMMANDS, WORDS, label, required
from tests.scripts.conftest import InProcess

NOWHERE = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "ELASTICSEARCH_URL": "http://127.0.0.1:1",
}
LIBRARY_TEXTS = re.compile(r"Input|Value error|valid |Invalid|Traceback|Errno|\[type=|No such (option|command)|Got ")
WRONG_OPTIONS = ("", "abc", "0x1F", "nan", "inf", "-1", "1,,2", "9" * 30, "/dev/null/folder", "/nowhere/at/all/x", "🤷")
ACCEPTED = {
    # Any of these is a path, or an address that only the operating system can judge.
    **{
        folder: {"abc", "0x1F", "nan", "inf", "-1", "1,,2", "9" * 30, "/nowhere/at/all/x", "🤷"}
        for folder in ("data", "flames")
    },
    "output": {"abc", "0x1F", "nan", "inf", "-1", "1,,2", "9" * 30, "🤷"},
    "host": set(WRONG_OPTIONS) - {""},
    "seed": set(),
    **dict.fromkeys(("by", "comment", "reason"), set(WRONG_OPTIONS) - {""}),
    "name": {"abc", "nan", "inf"},
    # Names of indexes; which of them are this installation's needs its settings.
    **{side: {"abc", "nan", "inf", "9" * 30} for side in ("against", "to")},
    "save": {"abc", "0x1F", "nan", "inf", "-1", "1,,2", "9" * 30, "🤷"},
}
WRONG_SETTINGS = ("", " ", "abc", "1.5", "-1", "nan", "inf", "9" * 5000, "1,,2", "x://y", "http://", "*", "::", "🤷")
FREE_TEXT = {"host", "supabase_issuer", "admin_key", "admin_key_previous"}


OPTIONS = [
    (words, command, option)
    for words, command in COMMANDS
    for option in command.params
    if option.param_type_name == "option" and not option.is_flag
]
FLAGS = [
    (words, option)
    for words, command in COMMANDS
    for option in command.params
    if option.param_type_name == "option" and option.is_flag
]
ARGUMENTS = [
    (words, command, argument)
    for words, command in COMMANDS
    for argument in command.params
    if not hasattr(argument, "is_flag")
]


def assert_usage_error(result: tuple[object, str], word: str) -> None:
    code, error = result
    assert code == ExitCode.USAGE, error
    assert len(error.splitlines()) == 1
    assert word in error
    assert re.search(r"[.?] See: smarttrip[a-z -]* --help\n$", error)
    assert not LIBRARY_TEXTS.search(error)


def assert_choices_are_completed(parameter: Any, error: str) -> None:
    """Shells offer exactly the words that the error names, if it names some."""
    named = re.search(r" should be one of ([^.]+)\. See", error)
    words = named[1].split(", ") if named else []
    assert not words or [item.value for item in parameter.shell_complete(None, "")] == words
    for word in words:
        offered = [item.value for item in parameter.shell_complete(None, word)]
        assert word in offered
        assert all(other.startswith(word) for other in offered)


def test_there_are_commands_options_flags_and_arguments() -> None:
    assert min(len(COMMANDS), len(OPTIONS), len(FLAGS), len(ARGUMENTS)) > 2


@pytest.mark.parametrize("words", [["fly"], ["stack", "fly"], ["user", "fly"]], ids=label)
def test_unknown_command_is_named(in_process: InProcess, words: list[str]) -> None:
    assert_usage_error(in_process(words, {}), "There is no command fly.")


@pytest.mark.parametrize("name", ["it's", 'a"b', "a.b", "a, b", "🤷", "line\nbreak", "stack'", "\\"])
def test_odd_name_of_a_command_is_named(in_process: InProcess, name: str) -> None:
    assert_usage_error(in_process([name], {}), f"There is no command {name if name.isprintable() else repr(name)}.")


@pytest.mark.parametrize("words", WORDS, ids=label)
@pytest.mark.parametrize(
    "mistype",
    [lambda word: word[:-1], lambda word: word + word[-1], lambda word: word[1:]],
    ids=["without its last letter", "with its last letter twice", "without its first letter"],
)
def test_mistyped_command_is_named_with_the_right_one(
    in_process: InProcess, words: list[str], mistype: Callable[[str], str]
) -> None:
    *group, name = words
    code, error = in_process([*group, mistype(name)], {})
    assert_usage_error((code, error), f"There is no command {mistype(name)}. Did you mean ")
    suggested = error.partition("Did you mean ")[2].partition("?")[0].split(" or ")
    assert name in suggested


@pytest.mark.parametrize(("words", "command"), COMMANDS, ids=label)
def test_unknown_option_is_named(in_process: InProcess, words: list[str], command: Any) -> None:
    assert_usage_error(in_process([*words, "--no-such-thing"], {}), "There is no option --no-such-thing.")


@pytest.mark.parametrize(("words", "command"), [item for item in COMMANDS if item[0] != ["bench"]], ids=label)
def test_superfluous_argument_is_named(in_process: InProcess, words: list[str], command: Any) -> None:
    assert_usage_error(in_process([*words, *required(command), "superfluous"], {}), "arguments: superfluous.")


@pytest.mark.parametrize(("words", "command", "option"), OPTIONS, ids=label)
def test_option_without_value_is_named(in_process: InProcess, words: list[str], command: Any, option: Any) -> None:
    assert_usage_error(in_process([*words, option.opts[0]], {}), f"The option {option.opts[0]} needs a value.")


@pytest.mark.parametrize(("words", "flag"), FLAGS, ids=label)
def test_flag_with_value_is_named(in_process: InProcess, words: list[str], flag: Any) -> None:
    assert_usage_error(in_process([*words, f"{flag.opts[0]}=3"], {}), f"The option {flag.opts[0]} takes no value.")


@pytest.mark.parametrize(("words", "command", "option"), OPTIONS, ids=label)
def test_wrong_value_of_option_is_explained(in_process: InProcess, words: list[str], command: Any, option: Any) -> None:
    wrong = [text for text in WRONG_OPTIONS if text not in ACCEPTED.get(option.name, set())]
    for text in wrong:
        given = [*required(command, without=option), f"{option.opts[0]}={text}"]
        refused = in_process([*words, *given], NOWHERE)
        assert_usage_error(refused, f"{option.opts[0]} should be ")
        assert_choices_are_completed(option, refused[1])


@pytest.mark.parametrize(("words", "command", "argument"), ARGUMENTS, ids=label)
def test_wrong_or_missing_argument_is_explained(
    in_process: InProcess, words: list[str], command: Any, argument: Any
) -> None:
    position = [item for item in command.params if item.required].index(argument)
    before, after = required(command)[:position], required(command)[position + 1 :]
    assert_usage_error(in_process([*words, *before], {}), f"{argument.metavar} is missing.")
    for text in {"", "abc", "9" * 30, "🤷"} - ACCEPTED.get(argument.name, set()):
        refused = in_process([*words, *before, text, *after], NOWHERE)
        assert_usage_error(refused, f"{argument.metavar} should be ")
        assert_choices_are_completed(argument, refused[1])


@pytest.mark.parametrize("name", Settings.model_fields)
def test_wrong_value_of_setting_is_explained(
    monkeypatch: pytest.MonkeyPatch, name: str, in_nowhere: Mapping[str, str]
) -> None:
    errors = []
    for text in WRONG_SETTINGS:
        monkeypatch.setenv(name.upper(), text)
        try:
            load_settings()
        except SettingsError as error:
            errors.append(str(error))
    assert errors or name in FREE_TEXT
    assert_bounded(name)
    for sentence in errors:
        assert sentence.startswith(f"{name.upper()} is wrong: ")
        assert sentence.endswith(".")
        assert len(sentence) < 300
        assert not LIBRARY_TEXTS.search(sentence)


def assert_bounded(name: str) -> None:
    """No number is accepted without a bound: what counts it would overflow, or never end."""
    schema = Settings.model_json_schema()["properties"][name]
    for kind in (schema, *schema.get("anyOf", ())):
        if kind.get("type") in ("integer", "number"):
            assert {"minimum", "exclusiveMinimum"} & kind.keys(), name
            assert {"maximum", "exclusiveMaximum"} & kind.keys(), name


MALFORMED = ("[::1", "h:99999", "h:abc", "h:-1", "h:0", "é" * 70, "x" * 64, "a..b")
"""Addresses behind a scheme."""
ADDRESS_OPTIONS = [item for item in OPTIONS if item[2].metavar in ("URL", "SIDE")]


@pytest.mark.parametrize("rest", MALFORMED)
@pytest.mark.parametrize(("words", "command", "option"), ADDRESS_OPTIONS, ids=label)
def test_malformed_address_as_an_option_is_explained(
    in_process: InProcess, words: list[str], command: Any, option: Any, rest: str
) -> None:
    for scheme in ("http", "https", "redis", "postgresql"):
        given = [*required(command, without=option), f"{option.opts[0]}={scheme}://{rest}"]
        assert_usage_error(in_process([*words, *given], NOWHERE), f"{option.opts[0]} ")


URLS = (
    ("database_url", "postgresql"),
    ("database_direct_url", "postgresql"),
    ("database_replica_urls", "postgresql"),
    ("redis_url", "redis"),
    ("redis_url", "redis+sentinel"),
    ("elasticsearch_url", "http"),
    ("supabase_jwks_url", "https"),
)
"""Settings that are URLs, with their schemes."""


def test_every_setting_that_is_a_url_is_known() -> None:
    assert {name for name in Settings.model_fields if name.endswith(("_url", "_urls"))} == {name for name, _ in URLS}


@pytest.mark.parametrize("rest", MALFORMED)
@pytest.mark.parametrize(("name", "scheme"), URLS)
def test_malformed_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, scheme: str, rest: str, in_nowhere: Mapping[str, str]
) -> None:
    monkeypatch.setenv(name.upper(), f"{scheme}://{rest}")
    with pytest.raises(SettingsError, match=f"^{name.upper()} is wrong: ") as refused:
        load_settings()
    assert not LIBRARY_TEXTS.search(str(refused.value))


@pytest.fixture
def in_nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> Mapping[str, str]:
    """Set only the settings that are required."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, text in NOWHERE.items():
        monkeypatch.setenv(name, text)
    monkeypatch.chdir(str(tmp_path))
    return NOWHERE


def test_env_file_that_is_no_text_is_named(in_process: InProcess, tmp_path: Any) -> None:
    (tmp_path / ".env").write_bytes(b"PORT=\xff\xfe\n")
    assert in_process(["serve"], {}) == (ExitCode.SETTING, ".env should be a text file in UTF-8.\n")


HOSTS = ("203.0.113.1", "host.invalid", "2001:db8::1", "x" * 300, "é" * 70, "a..b", "[::1", "🤷")


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("command", ["serve", "worker"])
def test_host_of_another_machine_is_not_said_to_be_taken(in_process: InProcess, command: str, host: str) -> None:
    code, error = in_process([command], {**NOWHERE, "HOST": host, "WORKER_PORT": "5001"})
    assert code == ExitCode.SETTING
    assert error == f'HOST should be an address of this machine, not "{host}".\n'


@pytest.mark.parametrize("host", HOSTS)
def test_wrong_host_is_named_by_the_option_that_gives_it(in_process: InProcess, host: str) -> None:
    code, error = in_process(["serve", "--host", host], {**NOWHERE, "HOST": "127.0.0.1"})
    assert code == ExitCode.USAGE
    assert error == f'--host should be an address of this machine, not "{host}".\n'


@pytest.mark.parametrize(
    ("command", "setting", "name"),
    [(["serve"], "PORT", "PORT"), (["serve", "--port"], None, "--port"), (["worker"], "WORKER_PORT", "WORKER_PORT")],
)
def test_taken_port_is_named_as_it_is_chosen(
    in_process: InProcess, command: list[str], setting: str | None, name: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        given, env = (command, {**NOWHERE, setting: port}) if setting else ([*command, port], NOWHERE)
        code, error = in_process(given, env)
    assert code == ExitCode.PORT
    assert error == f"Port {port} is taken; choose another one with {name}.\n"


@pytest.mark.parametrize("folder", ["/proc/stack", "/dev/null/stack", "/" + "x" * 300, "/tmp/a\nb", "/tmp/a\x1bb"])
@pytest.mark.parametrize("command", ["up", "status", "down", "env"])
def test_folder_that_cannot_be_is_explained(in_process: InProcess, command: str, folder: str) -> None:
    code, error = in_process(["stack", command, "--data", folder], {})
    if code not in (ExitCode.DONE, ExitCode.NOT_RUNNING):
        assert code == ExitCode.USAGE
        assert not LIBRARY_TEXTS.search(error)
        assert len(error.splitlines()) == 1
    assert command != "up" or code == ExitCode.USAGE
