"""Lines of key=value, and any bytes at all: values or KeyValueError, soon."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.recorders import keyvalue
from agents.recorders.keyvalue import KeyValueError

KEYS = st.text(st.characters(codec="utf-8", exclude_characters="=\r\n\x00\ufeff \t"), min_size=1, max_size=20)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00\ufeff \t"), max_size=20)


@given(st.dictionaries(KEYS, VALUES, max_size=8), st.sampled_from(["\r\n", "\n"]))
def test_what_was_written_is_read(values: dict[str, str], end: str) -> None:
    text = "".join(f"{key}={value}{end}" for key, value in values.items())
    assert keyvalue.parse(text.encode()) == values


@given(st.binary(max_size=2000))
def test_any_bytes_are_values_or_an_error(body: bytes) -> None:
    try:
        values = keyvalue.parse(body)
    except KeyValueError:
        return
    assert all(isinstance(value, str) for value in values.values())


def test_a_value_may_hold_the_sign_and_be_empty() -> None:
    assert keyvalue.parse(b"a=1=2\r\nb=\r\n") == {"a": "1=2", "b": ""}


@pytest.mark.parametrize(
    "body",
    [
        b"a=1\r\nb=2",  # cut off
        b"a=1\r\na=2\r\n",
        b"Error\r\nBad Request!\r\n",
        b"=1\r\n",
        b"x" * 301 + b"=1\r\n",
        b"a=1\n" * 100_002,
        b"a" * (keyvalue.MAX_BYTES + 1),
    ],
)
def test_what_is_no_whole_answer_is_refused(body: bytes) -> None:
    with pytest.raises(KeyValueError):
        keyvalue.parse(body)


def test_a_line_that_is_repeated_word_for_word_is_harmless() -> None:
    assert keyvalue.parse(b"a=1\r\na=1\r\n") == {"a": "1"}


def test_one_line_need_not_end() -> None:
    assert keyvalue.parse(b"result=3039757640") == {"result": "3039757640"}


def test_rows_come_by_their_number_and_nested_ones_stay_apart() -> None:
    values = keyvalue.parse(b"t[10].A=x\r\nt[2].B[0].C=y\r\nt[2]=z\r\nu[1].A=no\r\nt[x].A=no\r\n")
    found = keyvalue.rows(values, "t")
    assert found == {2: {"B[0].C": "y", "": "z"}, 10: {"A": "x"}}
    assert keyvalue.rows(found[2], "B") == {0: {"C": "y"}}


def test_a_number_beyond_any_device_is_refused() -> None:
    with pytest.raises(KeyValueError):
        keyvalue.rows({"items[999999999].Channel": "0"}, "items")
