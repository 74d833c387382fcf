from fastapi import APIRouter

from bench.peers.usual.dependencies import CatalogReader, Products
from bench.peers.usual.schemas import ProductOut

router = APIRouter(prefix="/products", tags=["products"])


@router.get("/{id_or_sku:path}")
async def get_product(id_or_sku: str, _caller: CatalogReader, products: Products) -> ProductOut:
    return await products.get(id_or_sku)
