"""Accounts: a password's hash is dear to guess against, also where the suite's own process hashes cheaply."""

from monitor.store.accounts import _hasher as hasher_of_the_product


def test_a_password_costs_who_guesses_64_mib_and_three_passes_each() -> None:
    assert hasher_of_the_product().hash("a long password").startswith("$argon2id$v=19$m=65536,t=3,p=4$")
