"""The fake provider misbehaves as it is told, and the same way each time."""

from hypothesis import given
from hypothesis import strategies as st

from infra.payments.rules import WELL_BEHAVED, Rule, RuleBook

DECLINE, DROP = Rule(decline_code="expired_card"), Rule(lose_reply="drop")
keys = st.lists(st.text(max_size=8), unique=True, min_size=1, max_size=30)


def charged(book: RuleBook, key: str, account_id: str = "a") -> Rule:
    return book.take("charge", key=key, account_id=account_id)


def test_without_rules_all_is_well() -> None:
    assert charged(RuleBook(), "k") is WELL_BEHAVED


def test_the_first_rule_that_fits_decides() -> None:
    book = RuleBook([Rule(account_id="b", lose_reply="error"), DECLINE, DROP])
    assert charged(book, "k") == DECLINE
    assert charged(book, "k", "b").lose_reply == "error"


def test_a_rule_is_for_its_operation() -> None:
    book = RuleBook([DECLINE])
    assert book.take("refund", key="k", account_id="a") is WELL_BEHAVED
    assert RuleBook([Rule(on="any")]).take("find", key="k", account_id=None) is not WELL_BEHAVED


def test_a_rule_ends_after_its_times() -> None:
    book = RuleBook([Rule(times=2, unavailable=True), DECLINE])
    assert [charged(book, "k").unavailable for _ in range(4)] == [True, True, False, False]


@given(keys=keys, seed=st.integers(), share=st.floats(0, 1))
def test_a_key_meets_the_same_rule_in_whatever_order_keys_come(keys: list[str], seed: int, share: float) -> None:
    rules = [Rule(share=share, lose_reply="drop"), Rule(share=share, decline_code="expired_card")]
    shuffled = sorted(keys)
    first, second = RuleBook(rules, seed), RuleBook(rules, seed)

    assert {key: charged(first, key) for key in keys} == {key: charged(second, key) for key in shuffled}


def test_a_share_is_about_that_share_and_another_seed_chooses_others() -> None:
    chosen = {}
    for seed in (1, 2):
        book = RuleBook([Rule(share=0.3, decline_code="expired_card")], seed)
        chosen[seed] = {key for key in map(str, range(2_000)) if charged(book, key).decline_code}
        assert 500 < len(chosen[seed]) < 700
    assert chosen[1] != chosen[2]


def test_a_key_that_asks_again_meets_its_chance_anew() -> None:
    book = RuleBook([Rule(share=0.5, unavailable=True)], seed=7)
    assert {charged(book, "k").unavailable for _ in range(20)} == {True, False}
