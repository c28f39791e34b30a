-- The orders database. Applied once, when the database is created.
CREATE TABLE products (
    sku         text PRIMARY KEY,
    name        text NOT NULL,
    price_cents integer NOT NULL CHECK (price_cents > 0)
);

CREATE TABLE orders (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer    text NOT NULL,
    total_cents bigint NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE order_items (
    order_id    bigint NOT NULL REFERENCES orders (id),
    sku         text NOT NULL REFERENCES products (sku),
    quantity    integer NOT NULL CHECK (quantity BETWEEN 1 AND 100),
    price_cents integer NOT NULL,
    PRIMARY KEY (order_id, sku)
);

INSERT INTO products (sku, name, price_cents) VALUES
    ('TEA-ASSAM', 'Assam, 100 g', 690),
    ('TEA-SENCHA', 'Sencha, 100 g', 1290),
    ('TEA-EARLGREY', 'Earl Grey, 100 g', 750),
    ('TEA-ROOIBOS', 'Rooibos, 100 g', 540),
    ('BIS-SHORTBREAD', 'Shortbread, 200 g', 420),
    ('BIS-GINGER', 'Ginger nuts, 250 g', 380),
    ('POT-GLASS', 'Glass teapot, 1 l', 3490),
    ('CUP-PORCELAIN', 'Porcelain cup', 1150);
