"""What a rule may name, checked when it is written down."""

from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.rules.drafts import ADDRESS


@pytest.mark.parametrize(
    "address",
    [
        "jo@example.org",
        "jo.public+door@mail.example.co.uk",
        "o'neil@example.org",
        "root@localhost",
        "jö@bücher.example",
    ],
)
def test_addresses_that_people_have(address: str) -> None:
    assert ADDRESS.fullmatch(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "jo",
        "@example.org",
        "jo@",
        "a@[",
        "a@[127.0.0.1]",
        "a@b@c",
        "jo@example..org",
        ".jo@example.org",
        "jo@example.org.",
        "<jo@example.org>",
        "a@b,c@d",
        "jo@example.org\n",
        "jo (at home)@example.org",
        "j" * 65 + "@example.org",
    ],
)
def test_what_is_no_address(address: str) -> None:
    assert not ADDRESS.fullmatch(address)


@given(st.from_regex(ADDRESS, fullmatch=True))
def test_each_can_be_written_on_a_message(address: str) -> None:
    message = EmailMessage()
    message["To"] = address
    (one,) = message["To"].addresses
    assert one.addr_spec == address
