"""The gateway's own errors: JSON of the API's contract, in its languages, with its headers."""

import json
from collections.abc import Mapping
from typing import get_args

from app.http import security_headers
from app.http.cors import EXPOSED
from app.http.errors import ApiError, error_response
from app.http.gateway_errors import gateway_errors
from app.http.language import SUBTAGS
from app.http.request_ids import VALID_REQUEST_ID
from app.http.requests import MAX_BODY
from schemas.messages.text import DEFAULT_LANGUAGE, Language

OWN_STATUSES: Mapping[int, tuple[int, ...]] = {400: (414, 494, 495, 496, 497)}
"""Statuses of nginx's own that are sent as another one: too long heads, and bad certificates or plain HTTP."""

FOLDER = "/errors"
"""Internal paths of the pages. Named locations would not do: a request whose first line is malformed has no path."""

REQUEST_ID = "$client_request_id"
MAX_BODY_KIB = "$max_body_kib"


def errors_conf() -> str:
    """Return the maps from which the errors are made, for the level of `http`."""
    subtags = {language: "|".join(SUBTAGS[language]) for language in get_args(Language) if language != DEFAULT_LANGUAGE}
    languages = [f'    "~*^\\s*({pattern})\\b" {language};' for language, pattern in subtags.items()]
    valid_id = VALID_REQUEST_ID.pattern.decode()
    return "\n".join(
        [
            f"map $http_accept_language $error_language {{\n    default {DEFAULT_LANGUAGE};",
            *languages,
            "}",
            f"map $http_x_request_id {REQUEST_ID} {{\n    default $request_id;",
            f'    "~^{valid_id}$" $http_x_request_id;',
            "}",
            f'map $allowed_origin $exposed_headers {{\n    default "{", ".join(EXPOSED)}";\n    "" "";\n}}',
            'map $allowed_origin $allowed_credentials {\n    default true;\n    "" "";\n}',
            *(_bodies(status, error) for status, error in gateway_errors(MAX_BODY).items()),
        ]
    )


def error_pages_conf() -> str:
    """Return the pages of the errors, for the level of `server`."""
    return "\n".join(_page(status, error) for status, error in gateway_errors(MAX_BODY).items())


def _bodies(status: int, error: ApiError) -> str:
    lines = [f"    {language} '{_body(error, language)}';" for language in get_args(Language)]
    return "\n".join([f"map $error_language $error_{status} {{", *lines, "}"])


def _body(error: ApiError, language: Language) -> str:
    content: dict[str, str] = json.loads(bytes(error_response(error, REQUEST_ID, language).body))
    if error.status == 413:
        content["error"] = content["error"].replace(str(MAX_BODY // 1024), MAX_BODY_KIB)
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("'", "\\'")


def _page(status: int, error: ApiError) -> str:
    aliases = " ".join(map(str, OWN_STATUSES.get(status, ())))
    own = {name: value for name, value in error.headers.items() if name != "Connection"}
    lines = [
        f"error_page {status} {FOLDER}/{status};",
        *([f"error_page {aliases} ={status} {FOLDER}/{status};"] if aliases else []),
        f"location = {FOLDER}/{status} {{",
        "    internal;",
        # The body has been judged already, by the bound of its own path.
        "    client_max_body_size 0;",
        "    default_type application/json;",
        "    include error_headers.conf;",
        *(_add_header(name, value, indent="    ") for name, value in own.items()),
        f"    return {status} $error_{status};",
        "}",
    ]
    return "\n".join(lines)


def error_headers_conf() -> str:
    """Return the headers of every error: those of the API's."""
    headers = {
        "Vary": "Accept-Language, Origin",
        "Access-Control-Allow-Origin": "$allowed_origin",
        "Access-Control-Allow-Credentials": "$allowed_credentials",
        "Access-Control-Expose-Headers": "$exposed_headers",
        "X-Request-ID": REQUEST_ID,
        "Content-Language": "$error_language",
        "Strict-Transport-Security": "$transport_security",
        **{name.decode().title(): value.decode() for name, value in security_headers.API_HEADERS},
    }
    return "\n".join(_add_header(name, value) for name, value in headers.items())


def _add_header(name: str, value: str, indent: str = "") -> str:
    return f'{indent}add_header {name} "{value}" always;'
