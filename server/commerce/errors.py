"""Why commerce refuses."""

from server.frame.errors import Code, Refusal


class ProductNotFound(Refusal):
    """No product has the SKU {sku}."""

    code = Code.NOT_FOUND
    reason = "PRODUCT_NOT_FOUND"

    def sentence(self) -> str:
        product_id = self.metadata.get("product_id")
        return f"No product has the id {product_id}." if product_id else super().sentence()


class SkuTaken(Refusal):
    """A product with the SKU {sku} exists."""

    code = Code.ALREADY_EXISTS
    reason = "SKU_TAKEN"


class ProductArchived(Refusal):
    """The product {sku} is archived and no longer sold."""

    code = Code.FAILED_PRECONDITION
    reason = "PRODUCT_ARCHIVED"


class OutOfStock(Refusal):
    """The order asks for more than is available."""

    code = Code.FAILED_PRECONDITION
    reason = "OUT_OF_STOCK"


class StockTooLow(Refusal):
    """Of {sku}, more would be taken away than the {available} that are available."""

    code = Code.FAILED_PRECONDITION
    reason = "STOCK_TOO_LOW"


class OrderNotFound(Refusal):
    """No order that you may see has the id {order_id}."""

    code = Code.NOT_FOUND
    reason = "ORDER_NOT_FOUND"


class ReferenceTaken(Refusal):
    """Another order of yours has this reference: {order_id}."""

    code = Code.ALREADY_EXISTS
    reason = "REFERENCE_TAKEN"


class OrderStateForbids(Refusal):
    """The order is {state}: this needs it to be {needed}."""

    code = Code.FAILED_PRECONDITION
    reason = "ORDER_STATE"


class PriceNotPermitted(Refusal):
    """A line has a unit_price, which needs the permission {permission}."""

    code = Code.PERMISSION_DENIED
    reason = "PRICE_NOT_PERMITTED"


class CustomerNotPermitted(Refusal):
    """The customer_id is another's, which needs the permission {permission}."""

    code = Code.PERMISSION_DENIED
    reason = "CUSTOMER_NOT_PERMITTED"


class HoldNotPermitted(Refusal):
    """The hold_duration is longer than {longest_seconds} s, which needs the permission {permission}."""

    code = Code.PERMISSION_DENIED
    reason = "HOLD_NOT_PERMITTED"


class TooMuchUnpaid(Refusal):
    """With this order {orders} would be unpaid and hold {pieces} pieces; {most_orders} and {most_pieces} may be."""

    code = Code.FAILED_PRECONDITION
    reason = "TOO_MUCH_UNPAID"


class TooManyGivenUp(Refusal):
    """The customer has cancelled {orders} orders lately, or not paid them in time; {most_orders} may be."""

    code = Code.FAILED_PRECONDITION
    reason = "TOO_MANY_GIVEN_UP"


class TooManyPayments(Refusal):
    """As many as {most} payments of this order have failed, and no other may begin: place it again."""

    code = Code.FAILED_PRECONDITION
    reason = "TOO_MANY_PAYMENTS"


class RefundNotPayable(Refusal):
    """A refund of {amount} {currency} is finer than can be paid back in {currency}."""

    code = Code.FAILED_PRECONDITION
    reason = "REFUND_NOT_PAYABLE"


class TotalNotPayable(Refusal):
    """The order's total, {total} {currency}, is finer than can be paid in {currency}."""

    code = Code.FAILED_PRECONDITION
    reason = "TOTAL_NOT_PAYABLE"


class CurrencyMixed(Refusal):
    """All amounts must be in one currency: these are in {currencies}."""

    code = Code.INVALID_ARGUMENT
    reason = "CURRENCY_MIXED"


class PaymentNotFound(Refusal):
    """No payment that you may see has the id {payment_id}."""

    code = Code.NOT_FOUND
    reason = "PAYMENT_NOT_FOUND"


class PaymentUnderWay(Refusal):
    """The order has a payment that has neither failed nor been voided: {payment_id}."""

    code = Code.FAILED_PRECONDITION
    reason = "PAYMENT_UNDER_WAY"


class PaymentStateForbids(Refusal):
    """The payment is {state}: this needs it to be {needed}."""

    code = Code.FAILED_PRECONDITION
    reason = "PAYMENT_STATE"


class RefundTooLarge(Refusal):
    """The refund exceeds the refundable amount: {left} of {captured} {currency} left."""

    code = Code.FAILED_PRECONDITION
    reason = "REFUND_TOO_LARGE"


class RestockTooLarge(Refusal):
    """More pieces are to be put back than were sold and are not put back yet."""

    code = Code.FAILED_PRECONDITION
    reason = "RESTOCK_TOO_LARGE"


class ProviderAway(Refusal):
    """The payment provider does not answer: try again."""

    code = Code.UNAVAILABLE
    reason = "PROVIDER_UNAVAILABLE"
    retry_after = 2.0


class ProviderMissing(Refusal):
    """This server takes no payments: it has no payment provider."""

    code = Code.FAILED_PRECONDITION
    reason = "PROVIDER_MISSING"

    def sentence(self) -> str:
        provider = self.metadata.get("provider")
        return f"This server does not have the payment's provider, {provider}." if provider else super().sentence()
