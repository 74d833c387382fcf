"""Why commerce refuses."""

from server.frame.errors import Code, Refusal


class ProductNotFound(Refusal):
    """No product has the SKU {sku}."""

    code = Code.NOT_FOUND

    def sentence(self) -> str:
        product_id = self.metadata.get("product_id")
        return f"No product has the id {product_id}." if product_id else super().sentence()


class SkuTaken(Refusal):
    """A product with the SKU {sku} already exists."""

    code = Code.ALREADY_EXISTS


class ProductArchived(Refusal):
    """The product {sku} is archived and no longer sold."""

    code = Code.FAILED_PRECONDITION


class OutOfStock(Refusal):
    """The order asks for more than is available."""

    code = Code.FAILED_PRECONDITION


class StockTooLow(Refusal):
    """The adjustment would remove more of {sku} than the {available} available."""

    code = Code.FAILED_PRECONDITION


class OrderNotFound(Refusal):
    """No order that you can see has the id {order_id}."""

    code = Code.NOT_FOUND


class ReferenceTaken(Refusal):
    """Another of your orders already has this reference: {order_id}."""

    code = Code.ALREADY_EXISTS


class OrderStateConflict(Refusal):
    """The order is {state}, and this call needs it to be {needed}."""

    code = Code.FAILED_PRECONDITION


class PriceNotPermitted(Refusal):
    """Setting a line's unit_price needs the permission {permission}."""

    code = Code.PERMISSION_DENIED


class CustomerNotPermitted(Refusal):
    """A customer_id other than your own needs the permission {permission}."""

    code = Code.PERMISSION_DENIED


class HoldTooLong(Refusal):
    """A hold_duration of more than {longest_seconds} s needs the permission {permission}."""

    code = Code.PERMISSION_DENIED


class UnpaidLimitExceeded(Refusal):
    """This would make {orders} unpaid orders of {pieces} pieces; the limits are {most_orders} and {most_pieces}."""

    code = Code.FAILED_PRECONDITION


class TooManyAbandonedOrders(Refusal):
    """Of the customer's recent orders {orders} were cancelled or expired unpaid; the limit is {most_orders}."""

    code = Code.FAILED_PRECONDITION


class TooManyPayments(Refusal):
    """The order has had {most} failed payments, the maximum: place a new order."""

    code = Code.FAILED_PRECONDITION


class RefundNotPayable(Refusal):
    """The refund of {amount} {currency} has more decimal places than the payment provider accepts."""

    code = Code.FAILED_PRECONDITION


class TotalNotPayable(Refusal):
    """The order's total of {total} {currency} has more decimal places than the payment provider accepts."""

    code = Code.FAILED_PRECONDITION


class CurrencyMismatch(Refusal):
    """All amounts must be in one currency, and these are in {currencies}."""

    code = Code.INVALID_ARGUMENT


class PaymentNotFound(Refusal):
    """No payment that you can see has the id {payment_id}."""

    code = Code.NOT_FOUND


class PaymentExists(Refusal):
    """The order already has a payment that has neither failed nor been voided: {payment_id}."""

    code = Code.FAILED_PRECONDITION


class PaymentStateConflict(Refusal):
    """The payment is {state}, and this call needs it to be {needed}."""

    code = Code.FAILED_PRECONDITION


class RefundTooLarge(Refusal):
    """The refund exceeds the refundable amount: {left} of {captured} {currency} left."""

    code = Code.FAILED_PRECONDITION


class RestockTooLarge(Refusal):
    """The restock exceeds what was sold and not yet restocked."""

    code = Code.FAILED_PRECONDITION


class PaymentProviderUnavailable(Refusal):
    """The payment provider is not responding: try again."""

    code = Code.UNAVAILABLE
    retry_after = 2.0


class PaymentProviderNotConfigured(Refusal):
    """This server takes no payments: no payment provider is configured."""

    code = Code.FAILED_PRECONDITION

    def sentence(self) -> str:
        provider = self.metadata.get("provider")
        return f"The payment provider {provider} is not configured on this server." if provider else super().sentence()
