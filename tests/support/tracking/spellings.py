"""The ways in which browsers, servers and formats write a text."""

import json
from html import escape
from unicodedata import normalize
from urllib.parse import quote, quote_plus

URI_COMPONENT = "-_.!~*'()"
"""What `encodeURIComponent` of JavaScript leaves as it is, beside letters and digits."""
URI = URI_COMPONENT + ";/?:@&=+$,#"
"""What `encodeURI` leaves, and so the address of a page."""


def spellings(text: str) -> dict[str, str]:
    """Return the text in every spelling, by name."""
    component = quote(text, safe=URI_COMPONENT)
    cases = {"as it is": text, "upper case": text.upper(), "title case": text.title()}
    return {
        **cases,
        "composed": normalize("NFC", text),
        "decomposed": normalize("NFD", text),
        "encodeURIComponent": component,
        "encodeURIComponent of upper case": quote(text.upper(), safe=URI_COMPONENT),
        "encodeURIComponent twice": quote(component, safe=URI_COMPONENT),
        "encodeURIComponent thrice": quote(quote(component, safe=URI_COMPONENT), safe=URI_COMPONENT),
        "encodeURI": quote(text, safe=URI),
        "form": quote_plus(text),
        "small digits": quote(text, safe="").lower(),
        "every byte": "".join(f"%{byte:02X}" for byte in text.encode()),
        "JSON": json.dumps(text)[1:-1],
        "JSON in JSON": json.dumps(json.dumps(text, ensure_ascii=False)),
        "JSON in a URL": quote(json.dumps({"user": text}), safe=URI_COMPONENT),
        "JSON of small ASCII": "".join(f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else letter for letter in text),
        "HTML": escape(text),
        "HTML by number": "".join(f"&#{ord(letter)};" for letter in text),
        "HTML by hexadecimal number": "".join(f"&#x{ord(letter):X};" for letter in text),
        "UTF-8 as Latin-1": text.encode().decode("latin-1"),
    }
