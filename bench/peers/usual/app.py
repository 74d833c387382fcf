from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from openfeature.contrib.tools.flagd.core import FlagdCore
from prometheus_client import CollectorRegistry, make_asgi_app
from sqlalchemy.ext.asyncio import async_sessionmaker

from bench.peers.usual.database import create_engine, create_tables
from bench.peers.usual.errors import Refusal, refused
from bench.peers.usual.metrics import RequestMetrics
from bench.peers.usual.repositories.core import CoreStorage
from bench.peers.usual.repositories.orm import OrmStorage
from bench.peers.usual.repositories.port import Storage
from bench.peers.usual.routers import articles, bookings, events, files, flags, health, orders, products, tasks
from bench.peers.usual.security import TokenVerifier
from bench.peers.usual.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = create_engine(settings.url, pool_size=settings.pool_size, max_overflow=settings.max_overflow)
        await create_tables(engine)
        storage: Storage = OrmStorage(engine) if settings.storage == "orm" else CoreStorage(engine)
        app.state.storage = storage
        app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
        yield
        await engine.dispose()

    app = FastAPI(title="Orders", lifespan=lifespan)
    app.state.verifier = TokenVerifier(settings.jwt_public_key)
    app.state.folder = settings.folder
    app.state.flags = FlagdCore()
    if settings.flags is not None:
        app.state.flags.set_flags(settings.flags.read_text())
    registry = CollectorRegistry()
    app.add_middleware(RequestMetrics, registry=registry)
    app.add_exception_handler(Refusal, refused)
    app.include_router(orders.router)
    app.include_router(products.router)
    app.include_router(flags.router)
    app.include_router(bookings.router)
    app.include_router(tasks.router)
    app.include_router(articles.router)
    app.include_router(events.router)
    app.include_router(files.router)
    app.include_router(health.router)
    app.mount("/metrics", make_asgi_app(registry))
    return app
