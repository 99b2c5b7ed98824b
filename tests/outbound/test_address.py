"""Threats T5 and T7: which addresses may be opened at all."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.errors import FetchRefused
from sightline.outbound.address import allow_list, check_port, is_listed, is_public, join, parse

ODD = [
    "", " ", "example.com", "//example.com/", "ftp://example.com/a", "file:///etc/passwd", "gopher://example.com/",
    "javascript:alert(1)", "data:image/png;base64,AAAA", "http:/example.com", "http:example.com", "http:///a",
    "http://", "https://", "http://?", "http://#", "http://user@example.com/", "http://user:pw@example.com/",
    "http://example.com@127.0.0.1/", "http://127.0.0.1#@example.com/".replace("#@", "\\@"),
    "http://example.com\\@127.0.0.1/", "http:\\\\example.com\\a", "http://exa\\mple.com/", "http://example.com/\\a",
    "http://exam ple.com/", " http://example.com/", "http://example.com/ ", "http://example.com/\n",
    "http://example.com/\r\nHost: a", "http://example.com/\x00", "http://example.com/\x7f", "http://ex\tample.com/",
    "http://example.com:0/", "http://example.com:65536/", "http://example.com:99999/", "http://example.com:-1/",
    "http://example.com:80:80/", "http://example.com:/", "http://example.com:8o/", "http://example.com:٨٠/",
    "http://\uff45xample.com/", "http://127。0。0。1/", "http://①②⑦.0.0.1/", "http://exämple.com/", "http://.example.com/",
    "http://example..com/", "http://-example.com/", "http://example-.com/", "http://exa%6dple.com/",
    "http://[::1", "http://::1/", "http://[::1]]/", "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/",
    "http://[v1.a]/", "http://[]/", "http://[1.2.3.4]/", "http://[::ffff:127.0.0.1.1]/", "http://[g::1]/",
    "http://127.1/", "http://127.0.1/", "http://2130706433/", "http://0x7f000001/", "http://0x7f.1/",
    "http://0177.0.0.1/", "http://017700000001/", "http://127.0.0.01/", "http://0x/", "http://1.2.3.4.5/",
    "http://256.1.1.1/", "http://1.2.3/", "http://a.0x1/", "http://example.1/", "http://<script>/",
    'http://example.com/"', "http://example.com/{a}", "http://example.com/`", "http://" + "a" * 254 + "/",
    "http://" + "a" * 64 + ".com/", "http://example.com/" + "a" * 5000, "http://\u202eexample.com/",
]  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_odd_addresses_are_refused_by_the_parser(text: str) -> None:
    with pytest.raises(FetchRefused):
        parse(text)


@pytest.mark.parametrize(
    ("text", "host", "port", "path"),
    [
        ("http://example.com", "example.com", 80, "/"),
        ("HTTPS://EXAMPLE.com./a?b=c#d", "example.com", 443, "/a?b=c"),
        ("https://example.com?x", "example.com", 443, "/?x"),
        ("http://example.com:443/%20", "example.com", 443, "/%20"),
        ("https://xn--bcher-kva.example/ü", "xn--bcher-kva.example", 443, "/%C3%BC"),
        ("http://[2001:DB8::0:1]:80/", "2001:db8::1", 80, "/"),
        ("http://1.2.3.4/a@b", "1.2.3.4", 80, "/a@b"),
        ("http://a_b.example/", "a_b.example", 80, "/"),
        ("https://example.com/a.jpg#frag ment".replace(" ", ""), "example.com", 443, "/a.jpg"),
    ],
)
def test_ordinary_addresses_pass(text: str, host: str, port: int, path: str) -> None:
    target = parse(text)
    assert (target.host, target.port, target.path) == (host, port, path)
    assert parse(target.url) == target


PRIVATE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::8.8.8.8",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a00:1",
    "64:ff9b:1::808:808", "100::1", "2001::1", "2001:0:808:808::1", "2001:db8::1", "2002:7f00:1::",
    "2002:808:808::",
    "3fff::1", "fc00::1", "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1", "2a00:1450::5efe:7f00:1",
    "2a00:1450::200:5efe:808:808", "4000::1",
]  # fmt: skip


@pytest.mark.parametrize("text", PRIVATE)
def test_private_addresses_are_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text",
    ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_public_addresses_are(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@given(st.ip_addresses(v=4), st.sampled_from(["{}", "::ffff:{}", "64:ff9b::{}", "::{}"]))
def test_an_ipv4_address_is_never_more_public_inside_ipv6(address: ipaddress.IPv4Address, form: str) -> None:
    inside = ipaddress.ip_address(form.format(address))
    assert is_public(inside) <= is_public(address)
    if not address.is_global:
        assert not is_public(inside)


@given(st.ip_addresses(network="127.0.0.0/8"), st.integers(0, 5))
def test_no_spelling_of_loopback_passes(address: ipaddress.IPv4Address, form: int) -> None:
    octets = address.packed
    number = int(address)
    spelling = [
        str(address),
        str(number),
        hex(number),
        f"0{number:o}",
        ".".join(hex(octet) for octet in octets),
        ".".join(f"0{octet:o}" for octet in octets),
    ][form]
    try:
        target = parse(f"http://{spelling}/")
    except FetchRefused:
        return
    assert target.literal is not None
    assert not is_public(target.literal)


@given(st.text(max_size=60))
def test_the_parser_never_leaves_the_error_tree(text: str) -> None:
    for candidate in (text, f"http://{text}", f"https://example.com{text}", f"https://{text}@example.com"):
        try:
            target = parse(candidate)
        except FetchRefused:
            continue
        assert "@" not in target.host
        assert target.path.isascii()
        assert parse(target.url) == target


def test_redirects_are_read_like_addresses() -> None:
    base = parse("https://example.com/a/b?c")
    assert join(base, "../d").url == "https://example.com/d"
    assert join(base, "//other.example/x").host == "other.example"
    for location in (
        "http://example.com/",
        "\\\\evil",
        "https://u@evil/",
        "file:///etc/passwd",
        "https://[::1",
        "a b",
    ):
        with pytest.raises(FetchRefused):
            join(base, location)


def test_ports_and_the_allow_list() -> None:
    check_port(parse("http://example.com:443/"))
    with pytest.raises(FetchRefused, match="22"):
        check_port(parse("http://example.com:22/"))
    allowed = allow_list(" camera.lan, 10.0.0.7:8080,[fd00::1]:80 , ")
    assert is_listed(parse("http://camera.lan/a"), allowed)
    assert is_listed(parse("http://CAMERA.lan/a"), allowed)
    assert not is_listed(parse("http://camera.lan:8080/a"), allowed)
    assert is_listed(parse("http://10.0.0.7:8080/"), allowed)
    assert not is_listed(parse("http://10.0.0.7/"), allowed)
    assert is_listed(parse("http://[fd00::1]/"), allowed)
    assert not is_listed(parse("http://notcamera.lan/"), allowed)
