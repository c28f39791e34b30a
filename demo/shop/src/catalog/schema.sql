-- Products with their stock, and what is reserved of it. Repeatable.
CREATE TABLE IF NOT EXISTS products (
    sku         TEXT PRIMARY KEY,
    place       INTEGER NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    price_cents INTEGER NOT NULL CHECK (price_cents > 0),
    stock       INTEGER NOT NULL CHECK (stock >= 0),
    stock_full  INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS reservations (
    order_id    TEXT NOT NULL UNIQUE,
    items       TEXT NOT NULL,
    total_cents INTEGER NOT NULL
);
