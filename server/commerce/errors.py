"""Why commerce refuses."""

from server.frame.errors import Code, Refusal


class ProductNotFound(Refusal):
    """No product has this id or SKU."""

    code = Code.NOT_FOUND
    reason = "PRODUCT_NOT_FOUND"


class SkuTaken(Refusal):
    """A product with this SKU exists."""

    code = Code.ALREADY_EXISTS
    reason = "SKU_TAKEN"


class ProductArchived(Refusal):
    """The product is archived and no longer sold."""

    code = Code.FAILED_PRECONDITION
    reason = "PRODUCT_ARCHIVED"


class OutOfStock(Refusal):
    """The order asks for more than is available."""

    code = Code.FAILED_PRECONDITION
    reason = "OUT_OF_STOCK"


class StockTooLow(Refusal):
    """Less would be on hand than orders hold."""

    code = Code.FAILED_PRECONDITION
    reason = "STOCK_TOO_LOW"


class OrderNotFound(Refusal):
    """No order of yours has this id."""

    code = Code.NOT_FOUND
    reason = "ORDER_NOT_FOUND"


class ReferenceTaken(Refusal):
    """Another order of yours has this reference."""

    code = Code.ALREADY_EXISTS
    reason = "REFERENCE_TAKEN"


class OrderStateForbids(Refusal):
    """The order's state does not allow this."""

    code = Code.FAILED_PRECONDITION
    reason = "ORDER_STATE"


class PriceNotPermitted(Refusal):
    """Only a caller with the permission orders.set_price sets a line's price."""

    code = Code.PERMISSION_DENIED
    reason = "PRICE_NOT_PERMITTED"


class CustomerNotPermitted(Refusal):
    """This needs a permission to act for other customers."""

    code = Code.PERMISSION_DENIED
    reason = "CUSTOMER_NOT_PERMITTED"


class CurrencyMixed(Refusal):
    """The lines of one order are priced in more than one currency."""

    code = Code.INVALID_ARGUMENT
    reason = "CURRENCY_MIXED"


class PaymentNotFound(Refusal):
    """No payment of yours has this id."""

    code = Code.NOT_FOUND
    reason = "PAYMENT_NOT_FOUND"


class PaymentUnderWay(Refusal):
    """Another payment of the order has neither failed nor been let go."""

    code = Code.FAILED_PRECONDITION
    reason = "PAYMENT_UNDER_WAY"


class PaymentStateForbids(Refusal):
    """The payment's state does not allow this."""

    code = Code.FAILED_PRECONDITION
    reason = "PAYMENT_STATE"


class RefundTooLarge(Refusal):
    """That much is not left to be paid back."""

    code = Code.FAILED_PRECONDITION
    reason = "REFUND_TOO_LARGE"


class RestockTooLarge(Refusal):
    """The order did not take that many pieces, or they were put back before."""

    code = Code.FAILED_PRECONDITION
    reason = "RESTOCK_TOO_LARGE"


class ProviderAway(Refusal):
    """The payment provider does not answer: try again."""

    code = Code.UNAVAILABLE
    reason = "PROVIDER_UNAVAILABLE"
    retry_after = 2.0


class ProviderMissing(Refusal):
    """This server has no such payment provider."""

    code = Code.FAILED_PRECONDITION
    reason = "PROVIDER_MISSING"
