"""Rules of customers: contacts, numbers, what an organisation lends, two who become one and part again."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.errors import InvalidInput, NotFound, Refused
from tickets.domain import customers as rules
from tickets.domain.customers import Merge, Organisation
from tickets.domain.model import Contact, Customer, Tier

NOW = datetime(2026, 11, 20, tzinfo=UTC)
VIP = Organisation("acme", "Acme", Tier.VIP, "olga")


def a_customer(identity: str = "a", contacts: list[Contact] | None = None, **fields: object) -> Customer:
    own = contacts if contacts is not None else [Contact(1, f"{identity}@client.example")]
    return Customer(id=identity, name=identity, created_time=NOW, contacts=own, **fields)  # type: ignore[arg-type]


def a_merge(source: Customer, target: Customer) -> Merge:
    fresh = [each for each in source.numbers if each not in target.numbers]
    return Merge("m", source.id, target.id, "olga", NOW, source.contacts, fresh, source.numbers)


def test_a_customer_takes_from_the_organisation_what_they_have_none_of_their_own_of() -> None:
    """CA-34, MP-19."""
    customer = a_customer()
    rules.settle(customer, VIP)
    assert (customer.tier, customer.account_manager, customer.organisation) == (Tier.VIP, "olga", "Acme")
    customer.own_tier, customer.own_account_manager = Tier.STANDARD, "anna"
    rules.settle(customer, VIP)
    assert (customer.tier, customer.account_manager) == (Tier.STANDARD, "anna")
    rules.settle(customer, None)
    assert (customer.organisation_key, customer.organisation, customer.account_manager) == ("", "", "anna")


def test_words_for_an_organisation_stay_without_one() -> None:
    customer = a_customer(organisation="Some shop")
    rules.settle(customer, None)
    assert (customer.organisation, customer.tier) == ("Some shop", Tier.STANDARD)


def test_contacts_and_numbers_come_and_go_within_bounds() -> None:
    """KT-06."""
    customer, phone = a_customer(), Contact(6, "+7")
    assert rules.add_contact(customer, phone)
    assert not rules.add_contact(customer, phone)
    rules.remove_contact(customer, phone)
    with pytest.raises(NotFound):
        rules.remove_contact(customer, phone)
    with pytest.raises(Refused, match="last contact"):
        rules.remove_contact(customer, customer.contacts[0])
    for number in range(rules.MAX_NUMBERS):
        assert rules.add_number(customer, str(number))
    assert not rules.add_number(customer, "7")
    with pytest.raises(InvalidInput) as full:
        rules.add_number(customer, "one more")
    assert [each.field for each in full.value.violations] == ["number"]
    rules.remove_number(customer, "7")
    with pytest.raises(NotFound):
        rules.remove_number(customer, "7")


@pytest.mark.parametrize(
    "domain", ["acme", "a b.example", "a@b.example", ".example", "acme.example.", "a/b.c"]
)
def test_what_is_no_domain_is_refused(domain: str) -> None:
    with pytest.raises(InvalidInput) as bad:
        rules.check_organisation(Organisation("acme", "Acme", domains=["ok.example", domain]))
    assert [each.field for each in bad.value.violations] == ["organisation.domains[1]"]


def test_public_mail_is_no_organisation() -> None:
    with pytest.raises(InvalidInput) as bad:
        rules.check_organisation(Organisation("acme", "Acme", domains=["Mail.RU "]))
    assert bad.value.reason == "PUBLIC_DOMAIN"


NUMBERS = st.lists(st.sampled_from("123456"), unique=True, max_size=6)
CONTACTS = st.lists(st.builds(Contact, st.integers(1, 3), st.sampled_from("abc")), unique=True, min_size=2)


@settings(deadline=None)
@given(contacts=CONTACTS, cut=st.integers(0, 3), ours=NUMBERS, theirs=NUMBERS)
def test_parting_undoes_merging(
    contacts: list[Contact], cut: int, ours: list[str], theirs: list[str]
) -> None:
    source = a_customer("a", sorted(contacts[:cut], key=lambda each: (each.channel, each.address)))
    target = a_customer("b", sorted(contacts[cut:], key=lambda each: (each.channel, each.address)))
    source.numbers, target.numbers = ours, theirs
    before = deepcopy((source, target))
    merge = a_merge(source, target)
    rules.merge(source, target, merge)
    assert (source.contacts, source.numbers, source.merged_into) == ([], [], "b")
    assert set(target.contacts) == set(contacts)
    assert len(set(target.numbers)) == len(target.numbers)
    rules.refuse_changed(merge, target, [])
    rules.part(source, target, merge)
    assert (source, target) == before


def test_what_moved_on_since_a_merge_is_named() -> None:
    source, target = a_customer("a", numbers=["1"]), a_customer("b")
    merge = a_merge(source, target)
    rules.merge(source, target, merge)
    rules.remove_number(target, "1")
    rules.remove_contact(target, Contact(1, "a@client.example"))
    with pytest.raises(Refused) as refused:
        rules.refuse_changed(merge, target, ["SUP-1"])
    assert refused.value.reason == "CHANGED_SINCE"
    for name in ("contact a@client.example", "number 1", "ticket SUP-1"):
        assert name in refused.value.message


def test_a_merge_is_undone_once_and_within_its_term() -> None:
    merge = a_merge(a_customer("a"), a_customer("b"))
    rules.check_undo(merge, NOW + timedelta(days=30))
    for now, undone, reason in (
        (NOW + timedelta(days=30, seconds=1), None, "UNDO_TOO_LATE"),
        (NOW, NOW, "ALREADY_UNDONE"),
    ):
        merge.undone_time = undone
        with pytest.raises(Refused) as refused:
            rules.check_undo(merge, now)
        assert refused.value.reason == reason


def test_too_much_is_not_merged() -> None:
    source = a_customer("a", [Contact(1, f"{each}@x.example") for each in range(60)])
    target = a_customer("b", [Contact(2, str(each)) for each in range(41)])
    for tickets in (0, rules.MAX_MERGED_TICKETS + 1):
        with pytest.raises(Refused) as refused:
            rules.check_merge(source, target, tickets)
        assert refused.value.reason == "TOO_MUCH_TO_MERGE"
        target.contacts = []
    rules.check_merge(source, target, rules.MAX_MERGED_TICKETS)
