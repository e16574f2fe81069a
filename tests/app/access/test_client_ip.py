from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from app.access.client_ip import MAX_HOPS, client_ip, parse_address
from core.configuration.settings import load_settings

PROXIES = ["10.0.0.0/8", "192.0.2.1", "2001:db8:1::/48"]


def address_seen(
    peer: str | None, *forwarded: str, trusted: list[str] | None = None, header: bytes = b"x-forwarded-for"
) -> str:
    """Whose request it is, with these headers."""
    networks = [ip_network(proxy) for proxy in (PROXIES if trusted is None else trusted)]
    headers = Headers(raw=[(header, value.encode("latin-1")) for value in forwarded])
    return str(client_ip(headers, load_settings(trusted_proxies=networks), peer))


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", "198.51.100.7", "203.0.113.9"),
        ("10.1.2.3", "198.51.100.7", "198.51.100.7"),
        ("192.0.2.1", "198.51.100.7", "198.51.100.7"),
        ("192.0.2.2", "198.51.100.7", "192.0.2.2"),
        ("2001:db8:1::5", "2001:db8:9::1", "2001:db8:9::1"),
        ("10.1.2.3", "1.1.1.1, 198.51.100.7, 10.9.9.9", "198.51.100.7"),
        ("10.1.2.3", "10.4.4.4, 10.9.9.9", "10.4.4.4"),
        ("10.1.2.3", "198.51.100.7:5000", "198.51.100.7"),
        ("10.1.2.3", "[2001:db8:9::1]:443", "2001:db8:9::1"),
        ("10.1.2.3", "::ffff:198.51.100.7", "198.51.100.7"),
        ("::ffff:10.1.2.3", "198.51.100.7", "198.51.100.7"),
        ("::ffff:203.0.113.9", "198.51.100.7", "203.0.113.9"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("10.1.2.3", "unknown", "10.1.2.3"),
        ("10.1.2.3", "1.1.1.1, nonsense, 10.9.9.9", "10.9.9.9"),
        ("10.1.2.3", "198.51.100.7,,", "10.1.2.3"),
        ("10.1.2.3", "fe80::1%eth0", "10.1.2.3"),
    ],
)
def test_nearest_untrusted_hop_is_the_client(peer: str, forwarded: str, expected: str) -> None:
    assert address_seen(peer, forwarded) == expected


def test_repeated_headers_are_joined() -> None:
    assert address_seen("10.1.2.3", "1.1.1.1", "198.51.100.7, 10.9.9.9") == "198.51.100.7"


def test_no_proxy_is_trusted_by_default() -> None:
    assert address_seen("127.0.0.1", "198.51.100.7", trusted=[]) == "127.0.0.1"


@pytest.mark.parametrize("header", [b"forwarded", b"x-real-ip", b"true-client-ip"])
def test_other_headers_are_ignored(header: bytes) -> None:
    assert address_seen("10.1.2.3", "198.51.100.7", header=header) == "10.1.2.3"


def test_socket_without_address_is_unknown() -> None:
    assert address_seen(None, "198.51.100.7") == "0.0.0.0"


def test_number_of_hops_is_bounded() -> None:
    far = ", ".join(["198.51.100.7"] + ["10.0.0.1"] * (MAX_HOPS * 100))
    assert address_seen("10.1.2.3", far) == "10.0.0.1"


@given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=60))
def test_untrusted_client_cannot_forge_its_address(forwarded: str) -> None:
    assert address_seen("203.0.113.9", forwarded) == "203.0.113.9"


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_client_behind_a_proxy_cannot_forge_its_address(written: str) -> None:
    assert address_seen("10.1.2.3", f"{written}, 203.0.113.9") == "203.0.113.9"


@given(st.ip_addresses())
def test_every_valid_address_is_parsed(address: object) -> None:
    assert str(parse_address(str(address))) == str(getattr(address, "ipv4_mapped", None) or address)
