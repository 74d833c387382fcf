"""Which messages are validated: those that the contract has a rule for."""

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.struct_pb2 import Struct

from backroom.commerce.v1.order_service_pb2 import GetOrderRequest, ListOrdersRequest, PlaceOrdersRequest
from backroom.flags.v1.flag_service_pb2 import TryFlagRequest
from backroom.identity.v1.identity_service_pb2 import GetMeRequest
from flagd.evaluation.v2.evaluation_service_pb2 import ResolveBooleanRequest
from server.frame.interceptors.validation import has_rules

OF_A_FIELD = (GetOrderRequest.DESCRIPTOR, ListOrdersRequest.DESCRIPTOR, TryFlagRequest.DESCRIPTOR)
OF_A_MESSAGE_INSIDE = (PlaceOrdersRequest.DESCRIPTOR,)
WITHOUT = (GetMeRequest.DESCRIPTOR, ResolveBooleanRequest.DESCRIPTOR, Struct.DESCRIPTOR)
"""The last is of itself within itself."""


@pytest.mark.parametrize("descriptor", [*OF_A_FIELD, *OF_A_MESSAGE_INSIDE])
def test_a_rule_is_found_on_the_message_or_inside_it(descriptor: Descriptor) -> None:
    """Wherever it is, the message is validated."""
    assert has_rules(descriptor)


@pytest.mark.parametrize("descriptor", WITHOUT)
def test_where_the_contract_has_no_rule_none_is_looked_for(descriptor: Descriptor) -> None:
    """Nothing could be wrong with it."""
    assert not has_rules(descriptor)
