// The storefront: what users talk to. Serves the page and an API over the orders service.
//
// It holds no state, so it can be stopped and started at any time. On SIGTERM it stops listening
// and answers what it has begun. It knows nothing of telemetry: that is loaded by `--require`.
'use strict';

const path = require('node:path');
const express = require('express');
const logger = require('pino')();
const { OrdersClient } = require('./orders-client');

const ITEMS_MAX = 50;

function validOrder(body) {
  return (
    typeof body?.customer === 'string' &&
    body.customer.includes('@') &&
    Array.isArray(body.items) &&
    body.items.length >= 1 &&
    body.items.length <= ITEMS_MAX
  );
}

function buildApp(orders) {
  const app = express();
  app.disable('x-powered-by');
  app.use(express.json({ limit: '64kb' }));
  app.use(express.static(path.join(__dirname, 'public')));

  app.get('/api/products', async (request, response) => {
    const answer = await orders.get('/products');
    response.status(answer.status).json(answer.body);
  });

  app.post('/api/orders', async (request, response) => {
    if (!validOrder(request.body)) {
      response.status(422).json({ error: 'an order needs a customer and 1 to 50 items' });
      return;
    }
    const answer = await orders.post('/orders', request.body);
    if (answer.status === 201) {
      logger.info({ order: answer.body.id, total_cents: answer.body.total_cents }, 'order placed');
    }
    response.status(answer.status).json(answer.body);
  });

  app.get('/api/orders/:id', async (request, response) => {
    const answer = await orders.get(`/orders/${encodeURIComponent(request.params.id)}`);
    response.status(answer.status).json(answer.body);
  });

  app.use((request, response) => {
    response.status(404).json({ error: 'no such page' });
  });

  // Express tells an error handler by its four parameters.
  app.use((error, request, response, next) => {
    const status = error.status ?? 500;
    const log = { method: request.method, url: request.originalUrl, status, err: error };
    if (status >= 500) logger.error(log, 'request failed');
    else logger.warn(log, 'request refused');
    if (response.headersSent) next(error);
    else response.status(status).json({ error: error.message });
  });
  return app;
}

const port = Number(process.env.PORT);
const orders = new OrdersClient(process.env.ORDERS_URL);
const server = buildApp(orders).listen(port, '127.0.0.1', (error) => {
  if (error) {
    logger.fatal({ err: error, port }, 'cannot listen');
    process.exit(1);
  }
  logger.info({ port, orders: process.env.ORDERS_URL }, 'storefront listens');
});

process.once('SIGTERM', () => {
  logger.info('stopping: finishing open requests');
  server.close();
  server.closeIdleConnections();
});
