// The demo shop under load beside a server that watches it: Immune may restart some of its parts by
// itself, and asks for others.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts, start } from './processes.mjs';
import { Server } from './server.mjs';
import { until } from './until.mjs';

export const PLANNED = 'cart-dies-each-week';
const ENVIRONMENT = 'test';
const SESSIONS_PER_SECOND = 8;
const UP_WITHIN_MS = 60_000;
/** Learned, and heard of, and served by all who should be. */
const WELL_WITHIN_MS = 120_000;

export class Shop {
  static async start(programs, folder) {
    const shop = new Shop(programs, folder);
    const names = ['gateway', 'payment-1', 'payment-2', 'inventory', 'catalog', 'cart', 'checkout'];
    const ports = await freePorts(names.length + 1);
    shop.ports = Object.fromEntries(names.map((name, index) => [name, ports[index]]));
    shop.provider = ports.at(-1);
    shop.server = await Server.start(programs, folder, {
      more: (server) => shop.configuration(server),
    });
    for (const part of shop.parts()) {
      start(part.command, shop.log(part), shop.telemetry(part, shop.server));
    }
    const gateway = `http://127.0.0.1:${shop.ports.gateway}`;
    await until('the shop', async () => (await fetch(`${gateway}/healthz`)).ok, UP_WITHIN_MS);
    start(
      [
        join(programs, 'shop'),
        'users',
        '--url',
        gateway,
        '--seed',
        '1',
        '--rate',
        `${SESSIONS_PER_SECOND}`,
        '--log',
        shop.usersLog,
      ],
      join(folder, 'logs/users.log'),
    );
    await until('users who are well', () => shop.isWell(), WELL_WITHIN_MS);
    return shop;
  }

  constructor(programs, folder) {
    this.programs = programs;
    this.folder = folder;
    this.usersLog = join(folder, 'users.jsonl');
  }

  async isWell() {
    const objectives = await this.server.get('objectives');
    const served = objectives.filter((objective) => objective.health === 'well');
    return ['gateway', 'checkout', 'payment'].every((name) =>
      served.some((objective) => objective.entity.name === name),
    );
  }

  url(name) {
    return `http://127.0.0.1:${name === 'provider' ? this.provider : this.ports[name]}`;
  }

  log({ name }) {
    return join(this.folder, `logs/${name}.log`);
  }

  telemetry({ service, name }, server) {
    const attributes = `deployment.environment.name=${ENVIRONMENT},service.instance.id=${name}`;
    return {
      OTEL_SERVICE_NAME: service,
      OTEL_EXPORTER_OTLP_ENDPOINT: server.otlpGrpc,
      OTEL_RESOURCE_ATTRIBUTES: attributes,
      OTEL_BSP_SCHEDULE_DELAY: '1000',
    };
  }

  /** Every serving process, callees first. */
  parts() {
    const data = ['--data', join(this.folder, 'data')];
    const part = (name, service, options, stateful = true) => ({
      name,
      service,
      command: [
        join(this.programs, 'shop'),
        service,
        '--listen',
        `${name === 'provider' ? this.provider : this.ports[name]}`,
        '--pid-file',
        join(this.folder, `${name}.pid`),
        ...(stateful ? data : []),
        ...options,
      ],
    });
    const provider = ['--provider', this.url('provider')];
    const catalog = ['--catalog', this.url('catalog')];
    const own = [...catalog, '--cart', this.url('cart')];
    return [
      part('provider', 'provider', [], false),
      part('payment-1', 'payment', ['--instance', 'payment-1', ...provider]),
      part('payment-2', 'payment', ['--instance', 'payment-2', ...provider]),
      part('inventory', 'inventory', []),
      part('catalog', 'catalog', ['--inventory', this.url('inventory')]),
      part('cart', 'cart', catalog),
      part('checkout', 'checkout', [
        ...own,
        '--inventory',
        this.url('inventory'),
        '--payment',
        `${this.url('gateway')}/internal`,
      ]),
      part(
        'gateway',
        'gateway',
        [
          ...own,
          '--checkout',
          this.url('checkout'),
          '--payment',
          this.url('payment-1'),
          '--payment',
          this.url('payment-2'),
        ],
        false,
      ),
    ];
  }

  /** Targets, which are restarted as they were started, and policies. */
  configuration(server) {
    const healed = this.parts().filter(({ name }) => /payment|cart|inventory|checkout/.test(name));
    const targets = healed.map((part) => ({
      name: part.name,
      service: part.service,
      ...(part.service === part.name ? {} : { instance: part.name }),
      environment: ENVIRONMENT,
      process: { listens_on: `127.0.0.1:${this.ports[part.name]}` },
      restart: {
        start: {
          command: part.command,
          environment: this.telemetry(part, server),
          log: this.log(part),
        },
      },
    }));
    const policies = healed.map(({ name }) => ({
      name: `restart-${name}`,
      cause: ['crash'],
      target: name,
      action: 'restart',
      mode: name.startsWith('payment') ? 'approve' : 'auto',
    }));
    const healing = { guardrails: { storm_window: '1m' }, policies };
    const drills = { schedule: [this.planned()] };
    const parts = Object.entries({ targets, healing, drills });
    return parts.map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`).join('');
  }

  /** A drill that would begin by itself, at an hour that is not soon. */
  planned() {
    const experiment = join(this.folder, 'cart-dies.json');
    const hurt = ['gateway', 'checkout'];
    writeFileSync(experiment, JSON.stringify(this.experiment('cart', { decision: 'heal', hurt })));
    const between = new Date().getUTCHours() < 12 ? '20:00-21:00' : '03:00-04:00';
    return { name: PLANNED, experiment, every: '7d', on: ['tue', 'wed', 'thu'], between };
  }

  /** An experiment that kills a part. */
  experiment(target, { decision, hurt }) {
    const service = target.replace(/-\d$/, '');
    return {
      title: `${target} dies under load`,
      steady_state: { slos: ['gateway', 'checkout'], held_for: '5s' },
      target,
      fault: 'kill_process',
      blast_radius: { environment: ENVIRONMENT, services: [...new Set([service, ...hurt])] },
      deadline: '4m',
      observe: '3m',
      expect: { decision, cause: { kind: 'crash', entity: target } },
      client_log: this.usersLog,
    };
  }

  async stop() {
    await this.server?.stop();
  }
}
