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
