from ipaddress import IPv4Address, IPv4Network

import pytest

from l2tp.ppp.pool import AddressPool, PoolExhausted


def pool(network="10.64.0.0/29", reserved="10.64.0.1"):
    return AddressPool(IPv4Network(network), frozenset({IPv4Address(reserved)}))


def test_the_first_caller_gets_the_address_after_ours():
    assert str(pool().take()) == "10.64.0.2"


def test_network_broadcast_and_our_own_are_never_given():
    addresses = pool()
    given = {str(addresses.take()) for _ in range(5)}
    assert given == {f"10.64.0.{host}" for host in range(2, 7)}


def test_an_empty_pool_says_what_to_do():
    addresses = pool("10.64.0.0/30")
    addresses.take()
    with pytest.raises(PoolExhausted, match=r"no free address: 1 are in use\. Set a larger"):
        addresses.take()


def test_what_is_released_is_given_again():
    addresses = pool("10.64.0.0/30")
    address = addresses.take()
    addresses.release(address)
    assert len(addresses) == 0
    assert addresses.take() == address


def test_releasing_twice_does_no_harm():
    addresses = pool()
    address = addresses.take()
    addresses.release(address)
    addresses.release(address)
    assert {str(addresses.take()), str(addresses.take())} == {"10.64.0.2", "10.64.0.3"}


def test_what_was_in_use_before_is_given_again_once_released():
    in_use = frozenset(map(IPv4Address, ("10.64.0.2", "10.65.0.9")))
    addresses = AddressPool(
        IPv4Network("10.64.0.0/29"), frozenset({IPv4Address("10.64.0.1")}), in_use
    )
    assert len(addresses) == 1
    assert str(addresses.take()) == "10.64.0.3"
    for address in in_use:
        addresses.release(address)
    assert str(addresses.take()) == "10.64.0.2"
