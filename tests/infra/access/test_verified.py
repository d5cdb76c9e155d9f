"""What is remembered of verified tokens: no tokens, not too many, and those that are asked for."""

from infra.access.verified import DIGEST_BYTES, Verified, VerifiedTokens, digest_of

ONE = Verified("one", 1.0)


def digest(number: int) -> bytes:
    return digest_of(f"token-{number}")


def test_a_token_is_remembered_by_a_few_bytes() -> None:
    assert len(digest_of("x" * 4_000)) == DIGEST_BYTES
    assert digest_of("a") != digest_of("b")


def test_what_was_kept_is_found_and_nothing_else() -> None:
    tokens = VerifiedTokens(10)
    tokens.keep(digest(1), ONE)
    assert tokens.get(digest(1)) == ONE
    assert tokens.get(digest(2)) is None


def test_no_more_than_the_most_are_kept() -> None:
    tokens = VerifiedTokens(10)
    for number in range(1_000):
        tokens.keep(digest(number), ONE)
        assert len(tokens) <= 10


def test_a_token_that_comes_again_and_again_outlasts_a_flood_of_others() -> None:
    tokens = VerifiedTokens(10)
    tokens.keep(digest(-1), ONE)
    for number in range(1_000):
        tokens.keep(digest(number), Verified("other", 1.0))
        assert tokens.get(digest(-1)) == ONE


def test_a_token_that_never_comes_again_is_forgotten() -> None:
    tokens = VerifiedTokens(10)
    tokens.keep(digest(-1), ONE)
    for number in range(10):
        tokens.keep(digest(number), ONE)
    assert tokens.get(digest(-1)) is None


def test_all_can_be_forgotten() -> None:
    tokens = VerifiedTokens(1)
    tokens.keep(digest(1), ONE)
    tokens.clear()
    assert tokens.get(digest(1)) is None
