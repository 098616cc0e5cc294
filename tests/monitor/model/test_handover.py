"""A key is followed to the one that it was handed over to by its own signature, and to no other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model.handover import Handover, follow, hand_over
from monitor.model.jws import SignatureError
from monitor.model.suite import PrivateKey

KEYS = [PrivateKey.make() for _ in range(4)]
AT = 1_795_406_400_000


def said(before: int, after: int, signer: int | None = None) -> Handover:
    """Return the statement of a key; that of another signer in its name where there is one."""
    true = hand_over(KEYS[before], KEYS[after].public, AT)
    if signer is None or signer == before:
        return true
    head, _, tail = hand_over(KEYS[signer], KEYS[after].public, AT).signature.partition("..")
    assert head
    return Handover(signature=f"{true.signature.partition('..')[0]}..{tail}", statement=true.statement)


def test_a_key_that_was_handed_over_to_none_stays() -> None:
    assert follow(KEYS[0].public, ()) == KEYS[0].public
    assert follow(KEYS[0].public, [said(1, 2)]) == KEYS[0].public


def test_any_number_of_steps_in_any_order_and_copies() -> None:
    steps = [said(1, 2), said(0, 1), said(2, 3), said(0, 1)]
    assert [follow(KEYS[first].public, steps).id for first in range(4)] == [KEYS[3].public.id] * 4


def test_the_statement_tells_of_no_secret() -> None:
    statement = said(0, 1)
    assert '"d"' not in statement.statement
    assert KEYS[0].pem().decode() not in statement.model_dump_json()


@given(edges=st.lists(st.tuples(*[st.integers(0, 3)] * 3), max_size=6))
def test_only_what_each_key_signed_itself_is_followed(edges: list[tuple[int, int, int]]) -> None:
    expected: int | None = 0
    passed = {0}
    while expected is not None and (here := [edge for edge in edges if edge[0] == expected]):
        forged = any(signer != before for before, _, signer in here)
        targets = {after for _, after, _ in here}
        expected = None if forged or len(targets) > 1 or targets & passed else targets.pop()
        passed.add(-1 if expected is None else expected)
    statements = [said(*edge) for edge in edges]
    if expected is None:
        with pytest.raises(SignatureError):
            follow(KEYS[0].public, statements)
    else:
        assert follow(KEYS[0].public, statements).id == KEYS[expected].public.id


@given(
    signature=st.one_of(st.text(max_size=60), st.just(said(0, 1).signature)),
    statement=st.one_of(st.text(max_size=60), st.just(said(0, 2).statement), st.just("{}")),
)
def test_whatever_comes_in_its_place_is_a_sentence_and_no_key(signature: str, statement: str) -> None:
    with pytest.raises(SignatureError):
        follow(KEYS[0].public, [Handover(signature=signature, statement=statement)])
