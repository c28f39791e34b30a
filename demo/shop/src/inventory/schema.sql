-- What is in stock, and what is reserved of it. Repeatable; a product that exists keeps its stock.
CREATE TABLE IF NOT EXISTS stock (
    sku        TEXT PRIMARY KEY,
    stock      INTEGER NOT NULL CHECK (stock >= 0),
    stock_full INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS reservations (
    order_id TEXT NOT NULL UNIQUE,
    items    TEXT NOT NULL
);
INSERT OR IGNORE INTO stock (sku, stock, stock_full) VALUES
    ('teapot', 1000, 1000), ('mug', 1000, 1000), ('kettle', 1000, 1000), ('grinder', 1000, 1000),
    ('beans', 1000, 1000), ('sencha', 1000, 1000), ('scale', 1000, 1000), ('moonjar', 0, 0);
