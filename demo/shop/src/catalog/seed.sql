-- The assortment.
INSERT OR IGNORE INTO products (sku, place, name, price_cents, description)
VALUES
    ('teapot',  1, 'Stoneware teapot',    4200, 'Holds a litre, pours without a drop.'),
    ('mug',     2, 'Thumbprint mug',      1800, 'Every one is thrown by hand.'),
    ('kettle',  3, 'Gooseneck kettle',    6900, 'A slow, narrow, careful stream.'),
    ('grinder', 4, 'Hand grinder',        8900, 'Forty clicks, no electricity.'),
    ('beans',   5, 'Washed Sidama',       1400, 'Apricot and black tea. 250 g.'),
    ('sencha',  6, 'First-flush sencha',  1650, 'Steamed when picked. 100 g.'),
    ('scale',   7, 'Brewing scale',       5400, 'Tenths of a gram, with a timer.'),
    ('moonjar', 8, 'Moon jar',           24000, 'One kiln a year. Sold out.');
