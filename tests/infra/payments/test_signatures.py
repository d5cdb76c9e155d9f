"""Only what was signed with a shared secret, about now, byte for byte, is believed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.payments.signatures import WebhookSignatureInvalid, WebhookStale, sign, verify

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOLERANCE = timedelta(seconds=300)
OLD, NEW = b"secret-of-march", b"secret-of-april"

bodies = st.binary(max_size=300)
secrets = st.binary(min_size=1, max_size=64)
moments = st.integers(0, 10**11).map(lambda s: datetime.fromtimestamp(s % 4_000_000_000, UTC))


def check(body: bytes, header: str | None, *, secrets: tuple[bytes, ...] = (NEW,), now: datetime = NOW) -> None:
    verify(body, header, secrets=secrets, now=now, tolerance=TOLERANCE)


@given(body=bodies, secret=secrets, at=moments)
def test_what_is_signed_verifies(body: bytes, secret: bytes, at: datetime) -> None:
    check(body, sign(body, secrets=[secret], at=at), secrets=(secret,), now=at)


@given(body=bodies.filter(bool), bit=st.integers(0))
def test_any_flipped_bit_of_the_body_is_refused(body: bytes, bit: int) -> None:
    changed = bytearray(body)
    changed[bit // 8 % len(body)] ^= 1 << bit % 8
    with pytest.raises(WebhookSignatureInvalid):
        check(bytes(changed), sign(body, secrets=[NEW], at=NOW))


@given(body=bodies, bit=st.integers(0))
def test_any_flipped_bit_of_the_header_is_refused(body: bytes, bit: int) -> None:
    header = bytearray(sign(body, secrets=[NEW], at=NOW).encode())
    header[bit // 8 % len(header)] ^= 1 << bit % 8
    with pytest.raises(WebhookSignatureInvalid):
        check(body, header.decode("latin-1"))


@given(body=bodies, secret=secrets.filter(lambda secret: secret.rstrip(b"\0") != NEW))
def test_another_secret_is_refused(body: bytes, secret: bytes) -> None:
    with pytest.raises(WebhookSignatureInvalid):
        check(body, sign(body, secrets=[secret], at=NOW))


@given(body=bodies, header=st.text(max_size=100))
def test_no_other_text_is_a_signature(body: bytes, header: str) -> None:
    with pytest.raises(WebhookSignatureInvalid):
        check(body, header)


@pytest.mark.parametrize("off_s", [-300, -299, 0, 299, 300])
def test_a_signature_within_the_tolerance_is_taken(off_s: int) -> None:
    check(b"{}", sign(b"{}", secrets=[NEW], at=NOW + timedelta(seconds=off_s)))


@pytest.mark.parametrize("off_s", [-301, 301, -86_400, 86_400])
def test_a_signature_outside_of_it_is_stale_both_ways(off_s: int) -> None:
    with pytest.raises(WebhookStale):
        check(b"{}", sign(b"{}", secrets=[NEW], at=NOW + timedelta(seconds=off_s)))


def test_a_stale_signature_of_someone_else_is_invalid_not_stale() -> None:
    with pytest.raises(WebhookSignatureInvalid):
        check(b"{}", sign(b"{}", secrets=[OLD], at=NOW - timedelta(days=1)))


def test_either_secret_is_taken_while_the_receiver_rotates() -> None:
    for signed_with in (OLD, NEW):
        check(b"{}", sign(b"{}", secrets=[signed_with], at=NOW), secrets=(NEW, OLD))


def test_one_of_several_signatures_is_enough_while_the_sender_rotates() -> None:
    header = sign(b"{}", secrets=[OLD, NEW], at=NOW)

    assert header.count("v1=") == 2
    check(b"{}", header)
    with pytest.raises(WebhookSignatureInvalid):
        check(b"{}", header, secrets=(b"a third",))


def test_other_versions_of_signatures_are_passed_over() -> None:
    t, v1 = sign(b"{}", secrets=[NEW], at=NOW).split(",")

    check(b"{}", f"{t},v0={'0' * 64},{v1}")
    with pytest.raises(WebhookSignatureInvalid):
        check(b"{}", f"{t},{v1.replace('v1', 'v0')}")


@pytest.mark.parametrize(
    "spoiled",
    [
        None,
        "",
        "t=1,",
        "v1=" + "0" * 64,
        "t=1,v1=" + "0" * 63,
        "t=1,v1=" + "A" * 64,
        "t=1,t=2,v1=" + "0" * 64,
        "t=²,v1=" + "0" * 64,
        "t=1" + (",v1=" + "0" * 64) * 40,
    ],
)
def test_a_header_of_another_shape_is_refused(spoiled: str | None) -> None:
    with pytest.raises(WebhookSignatureInvalid):
        check(b"{}", spoiled)


@pytest.mark.parametrize("appended", [",", " ", "\n", ",x=1", ",v1=" + "0" * 63])
def test_nothing_may_follow_a_signature(appended: str) -> None:
    with pytest.raises(WebhookSignatureInvalid):
        check(b"{}", sign(b"{}", secrets=[NEW], at=NOW) + appended)


def test_a_moment_spelled_otherwise_does_not_verify() -> None:
    header = sign(b"{}", secrets=[NEW], at=NOW)
    with pytest.raises(WebhookSignatureInvalid):
        check(b"{}", header.replace("t=", "t=0"))
