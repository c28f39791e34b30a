// Calls the orders service over HTTP and turns its troubles into the status a gateway answers.
//
// 2xx and 4xx answers pass through. No connection, or a 5xx answer, is 502; no answer within
// TIMEOUT_MS is 504. It does not retry: an order must not be placed twice.
'use strict';

const TIMEOUT_MS = 10_000;

class UpstreamError extends Error {
  constructor(status, message, cause) {
    super(message, { cause });
    this.name = 'UpstreamError';
    this.status = status;
  }
}

class OrdersClient {
  constructor(baseUrl) {
    this.baseUrl = baseUrl;
  }

  get(path) {
    return this.call(path, { method: 'GET' });
  }

  post(path, body) {
    return this.call(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  }

  async call(path, options) {
    let response, body;
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      response = await fetch(this.baseUrl + path, { ...options, signal });
      body = await response.json();
    } catch (error) {
      if (error.name === 'TimeoutError') {
        throw new UpstreamError(504, 'orders did not answer in time', error);
      }
      throw new UpstreamError(502, 'orders is not reachable', error);
    }
    if (response.status >= 500) {
      throw new UpstreamError(502, `orders answered ${response.status}`);
    }
    return { status: response.status, body };
  }
}

module.exports = { OrdersClient, UpstreamError };
