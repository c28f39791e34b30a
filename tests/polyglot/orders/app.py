"""The orders service: the catalogue and the orders that customers place, over HTTP.

An order and its items are written in one PostgreSQL transaction; nothing of a refused order
stays. It knows nothing of telemetry: `opentelemetry-instrument` starts it.
"""

import logging
import os
import sys

import psycopg2
from flask import Flask, jsonify, request

from catalogue import Catalogue, connect_cache
from database import CONNECTION_ERRORS, Database
from serve import serve

ITEMS_MAX = 50
QUANTITY_MAX = 100
ORDER_ID_MAX = 2**63 - 1

logger = logging.getLogger("orders")


class InvalidOrder(Exception):
    """The customer's fault; its text is the answer."""


def parse_order(body):
    """Returns (customer, {sku: quantity}) of a request body, or raises InvalidOrder."""
    if not isinstance(body, dict):
        raise InvalidOrder("the body must be a JSON object")
    customer, items = body.get("customer"), body.get("items")
    if not isinstance(customer, str) or "@" not in customer:
        raise InvalidOrder("customer must be an e-mail address")
    if not isinstance(items, list) or not 1 <= len(items) <= ITEMS_MAX:
        raise InvalidOrder(f"items must be a list of 1 to {ITEMS_MAX}")
    quantities = {}
    for item in items:
        sku = item.get("sku") if isinstance(item, dict) else None
        quantity = item.get("quantity") if isinstance(item, dict) else None
        if not isinstance(sku, str) or type(quantity) is not int:
            raise InvalidOrder("each item needs a sku and a whole quantity")
        quantities[sku] = quantities.get(sku, 0) + quantity
        if quantity < 1 or quantities[sku] > QUANTITY_MAX:
            raise InvalidOrder(f"quantity of {sku} must be 1 to {QUANTITY_MAX}")
    return customer, quantities


def insert_order(cursor, customer, quantities):
    cursor.execute(
        "SELECT sku, price_cents FROM products WHERE sku = ANY(%s)", (list(quantities),)
    )
    prices = dict(cursor.fetchall())
    unknown = sorted(set(quantities) - set(prices))
    if unknown:
        raise InvalidOrder(f"unknown sku {unknown[0]}")
    total_cents = sum(prices[sku] * quantity for sku, quantity in quantities.items())
    cursor.execute(
        "INSERT INTO orders (customer, total_cents) VALUES (%s, %s) RETURNING id",
        (customer, total_cents),
    )
    order_id = cursor.fetchone()[0]
    for sku, quantity in quantities.items():
        cursor.execute(
            "INSERT INTO order_items (order_id, sku, quantity, price_cents)"
            " VALUES (%s, %s, %s, %s)",
            (order_id, sku, quantity, prices[sku]),
        )
    return {"id": order_id, "customer": customer, "total_cents": total_cents}


def select_order(cursor, order_id):
    cursor.execute("SELECT customer, total_cents FROM orders WHERE id = %s", (order_id,))
    row = cursor.fetchone()
    if row is None:
        return None
    cursor.execute(
        "SELECT sku, quantity, price_cents FROM order_items WHERE order_id = %s ORDER BY sku",
        (order_id,),
    )
    items = [
        {"sku": sku, "quantity": quantity, "price_cents": price_cents}
        for sku, quantity, price_cents in cursor.fetchall()
    ]
    return {"id": order_id, "customer": row[0], "total_cents": row[1], "items": items}


def build_app(database, catalogue):
    app = Flask("orders")

    @app.get("/healthz")
    def healthz():
        return jsonify(status="serving")

    @app.get("/products")
    def products():
        return jsonify(products=catalogue.products())

    @app.post("/orders")
    def place_order():
        customer, quantities = parse_order(request.get_json(silent=True))
        order = database.run(lambda cursor: insert_order(cursor, customer, quantities))
        catalogue.count_order()
        logger.info("order %d placed, %d cents", order["id"], order["total_cents"])
        return jsonify(order), 201

    @app.get("/orders/<int:order_id>")
    def show_order(order_id):
        order = None
        if order_id <= ORDER_ID_MAX:
            order = database.run(lambda cursor: select_order(cursor, order_id))
        if order is None:
            return jsonify(error="no such order"), 404
        return jsonify(order)

    @app.errorhandler(InvalidOrder)
    def refuse(error):
        return jsonify(error=str(error)), 422

    @app.errorhandler(404)
    def not_found(_error):
        return jsonify(error="not found"), 404

    for kind in CONNECTION_ERRORS:
        app.register_error_handler(kind, database_unavailable)
    app.register_error_handler(psycopg2.Error, database_failed)
    return app


def database_unavailable(error):
    logger.error("database unavailable: %s", error)
    return jsonify(error="database unavailable"), 503


def database_failed(error):
    logger.error("database error: %s", error)
    return jsonify(error="database error"), 500


def main():
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    database = Database(os.environ["DATABASE_URL"])
    catalogue = Catalogue(database, connect_cache(os.environ["REDIS_URL"]))
    serve(build_app(database, catalogue), int(os.environ["PORT"]))


if __name__ == "__main__":
    main()
