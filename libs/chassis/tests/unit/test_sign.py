import pytest

from chassis.sign import sign, verify


def test_a_signature_holds_for_its_purpose_parts_and_key_only() -> None:
    made = sign("key", "reply", "t1", 7)
    assert len(made) == 26
    assert made == made.lower()
    assert verify("key", "reply", "t1", 7, signature=made)
    assert verify("new,key", "reply", "t1", 7, signature=made.upper())
    for key, purpose, parts in (
        ("other", "reply", ("t1", 7)),
        ("key", "survey", ("t1", 7)),
        ("key", "reply", ("t17", "")),
        ("key", "reply", ("t1",)),
    ):
        assert not verify(key, purpose, *parts, signature=made)


def test_an_empty_cut_or_foreign_signature_never_matches() -> None:
    made = sign("key", "reply", "t1")
    for wrong in ("", made[:-1], made + "a", "\u043a" * 26, "\0" * 26):
        assert not verify("key", "reply", "t1", signature=wrong)


def test_the_first_key_signs_and_an_empty_key_is_an_error() -> None:
    assert sign("new,old", "p") == sign("new", "p")
    with pytest.raises(ValueError, match="key is needed"):
        sign(" , ", "p")
    with pytest.raises(ValueError, match="size"):
        sign("key", "p", size=8)
