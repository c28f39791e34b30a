-- Products and what they cost. Repeatable.
CREATE TABLE IF NOT EXISTS products (
    sku         TEXT PRIMARY KEY,
    place       INTEGER NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    price_cents INTEGER NOT NULL CHECK (price_cents > 0)
);
