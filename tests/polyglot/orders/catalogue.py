"""The product catalogue: PostgreSQL's table behind a short-lived copy in Redis.

Redis is only a cache here: when it fails, a warning is logged and PostgreSQL answers.
"""

import json
import logging

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

CACHE_KEY = "catalogue"
CACHE_SECONDS = 5
COUNTER_KEY = "orders:placed"
CACHE_TIMEOUT_SECONDS = 0.5

logger = logging.getLogger("orders.catalogue")


def connect_cache(url):
    return redis.Redis.from_url(
        url,
        socket_timeout=CACHE_TIMEOUT_SECONDS,
        socket_connect_timeout=CACHE_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 1),
    )


class Catalogue:
    def __init__(self, database, cache):
        self.database = database
        self.cache = cache

    def products(self):
        cached = self._try_cache("read", lambda: self.cache.get(CACHE_KEY))
        if cached is not None:
            return json.loads(cached)
        products = self.database.run(select_products)
        self._try_cache(
            "write", lambda: self.cache.set(CACHE_KEY, json.dumps(products), ex=CACHE_SECONDS)
        )
        return products

    def count_order(self):
        self._try_cache("count", lambda: self.cache.incr(COUNTER_KEY))

    @staticmethod
    def _try_cache(operation, call):
        try:
            return call()
        except redis.RedisError as error:
            logger.warning("cache %s failed, going on without: %s", operation, error)
            return None


def select_products(cursor):
    cursor.execute("SELECT sku, name, price_cents FROM products ORDER BY sku")
    return [
        {"sku": sku, "name": name, "price_cents": price_cents}
        for sku, name, price_cents in cursor.fetchall()
    ]
