// The tests of `toxiproxy-node-client` (src/tests/*.spec.ts of its repository), which its package
// does not ship. Prints `ok NAME` or `FAIL NAME` for each; the status is 1 if one failed.

"use strict";

const assert = require("node:assert");
const { Toxiproxy } = require("toxiproxy-node-client");

const url = process.argv[2];
const toxiproxy = new Toxiproxy(url);

const createProxy = (name) =>
    toxiproxy.createProxy({ listen: "localhost:0", name, upstream: "localhost:6379" });

const createToxic = (proxy, type, attributes) => proxy.addToxic({ attributes, type });

async function removeAllProxies() {
    for (const proxy of Object.values(await toxiproxy.getAll())) {
        await proxy.remove();
    }
}

function fails(status) {
    return { message: `Request failed with status code ${status}` };
}

const tests = {
    "Toxiproxy Should create a proxy": async () => {
        await createProxy("create-test");
    },
    "Toxiproxy Should get a proxy": async () => {
        const created = await createProxy("get-test");
        const fetched = await toxiproxy.get(created.name);
        assert.strictEqual(fetched.name, created.name);
    },
    "Toxiproxy Should get version": async () => {
        assert.match(await toxiproxy.getVersion(), /^\{"version": "2\./);
    },
    "Toxiproxy Should reset": () => toxiproxy.reset(),
    "Toxiproxy Should populate": async () => {
        const body = [{ listen: "localhost:0", name: "get-all-test", upstream: "localhost:6379" }];
        const proxies = await toxiproxy.populate(body);
        assert.deepStrictEqual(Object.keys(proxies), ["get-all-test"]);
    },
    "Toxiproxy Should get all proxies": async () => {
        const wanted = [
            { listen: "127.0.0.1:0", name: "get-all-test1", upstream: "localhost:6379" },
            { listen: "127.0.0.1:0", name: "get-all-test2", upstream: "localhost:12345" },
        ];
        const populated = await toxiproxy.populate(wanted);
        const proxies = await toxiproxy.getAll();
        assert.strictEqual(Object.keys(proxies).length, 2);
        for (const { name, upstream } of wanted) {
            assert.strictEqual(proxies[name].name, name);
            assert.strictEqual(proxies[name].listen, populated[name].listen);
            assert.strictEqual(proxies[name].upstream, upstream);
        }
    },
    "Proxy Should update a proxy": async () => {
        const proxy = await createProxy("update-proxy-test");
        const { listen, upstream } = proxy;
        const disabled = await proxy.update({ enabled: false, listen, upstream });
        assert.strictEqual(disabled.enabled, false);
        const updated = await proxy.update({ enabled: true, listen, upstream: "somehost:12345" });
        assert.strictEqual(updated.enabled, true);
        assert.strictEqual(updated.upstream, "somehost:12345");
    },
    "Proxy Should remove a proxy": async () => {
        const proxy = await createProxy("remove-test");
        await proxy.remove();
        await assert.rejects(toxiproxy.get("remove-test"), fails(404));
    },
    "Creating the same proxy twice should result in an error": async () => {
        await createProxy("duplicate");
        await assert.rejects(createProxy("duplicate"), fails(409));
    },
    "CRUD for Toxics": async () => {
        const proxy = await createProxy("remove-toxic-test");
        const toxic = await createToxic(proxy, "latency", { latency: 1000, jitter: 100 });
        assert.strictEqual(toxic.name, "latency_downstream");
        assert.strictEqual(toxic.toxicity, 1);
        assert.deepStrictEqual(toxic.attributes, { latency: 1000, jitter: 100 });

        const fetched = await proxy.getToxic(toxic.name);
        for (const field of ["name", "type", "stream", "toxicity"]) {
            assert.strictEqual(fetched[field], toxic[field]);
        }
        const updated = await toxic.update({ attributes: { latency: 12345, jitter: 42 } });
        assert.deepStrictEqual(updated.attributes, { latency: 12345, jitter: 42 });
        await toxic.remove();
        await assert.rejects(proxy.getToxic(toxic.name), fails(404));
    },
    "Creating the same Toxic twice should result in an error": async () => {
        const proxy = await createProxy("duplicate-toxic-test");
        const attributes = { latency: 1000, jitter: 100 };
        await createToxic(proxy, "latency", attributes);
        await assert.rejects(createToxic(proxy, "latency", attributes), fails(409));
    },
};

const toxics = {
    latency: { latency: 1000, jitter: 100 },
    bandwidth: { rate: 1000 },
    slow_close: { delay: 1000 },
    timeout: { timeout: 5000 },
    slicer: { average_size: 1000, delay: 1000, size_variation: 1000 },
    reset_peer: { timeout: 1000 },
    limit_data: { bytes: 42 },
};
for (const [type, attributes] of Object.entries(toxics)) {
    tests[`Proxy Should add a ${type} toxic`] = async () => {
        const proxy = await createProxy(`add-${type}-toxic-test`);
        const toxic = await createToxic(proxy, type, attributes);
        assert.deepStrictEqual(toxic.attributes, attributes);
    };
}

async function main() {
    for (const [name, test] of Object.entries(tests)) {
        try {
            await removeAllProxies();
            await test();
            console.log(`ok node: ${name}`);
        } catch (error) {
            console.error(error);
            console.log(`FAIL node: ${name}`);
            process.exitCode = 1;
        }
    }
    await removeAllProxies();
}

main();
