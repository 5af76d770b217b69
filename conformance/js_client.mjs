// The official JavaScript client against a running server: `node js_client.mjs URL`.
import assert from 'node:assert/strict';
import { QdrantClient } from '@qdrant/js-client-rest';

const said = [];
console.warn = (...words) => said.push(words.join(' '));

const client = new QdrantClient({ url: process.argv[2] });
const name = 'from-js';
const ids = (hits) => hits.map((hit) => hit.id);

async function refused(status, call) {
  await assert.rejects(call, (error) => error.status === status);
}

await client.deleteCollection(name);
await client.createCollection(name, { vectors: { size: 3, distance: 'Cosine' } });
assert.equal((await client.collectionExists(name)).exists, true);
assert((await client.getCollections()).collections.some((one) => one.name === name));
assert.equal((await client.getCollection(name)).status, 'green');
await client.updateCollection(name, { optimizers_config: { indexing_threshold: 0 } });
await refused(409, () => client.createCollection(name, { vectors: { size: 3, distance: 'Dot' } }));

const done = await client.upsert(name, {
  wait: true,
  points: [
    { id: 1, vector: [1, 0, 0], payload: { person: 'Ada' } },
    { id: 2, vector: [0.9, 0.1, 0], payload: { person: 'Ada' } },
    { id: 3, vector: [0, 1, 0], payload: { person: 'Bob' } },
  ],
});
assert.equal(done.status, 'completed');
await client.upsert(name, { wait: true, batch: { ids: [4], vectors: [[0, 0, 1]], payloads: [{ n: 4 }] } });
assert.equal((await client.count(name, { exact: true })).count, 4);
assert.deepEqual(ids(await client.retrieve(name, { ids: [1, 9] })), [1]);
assert.deepEqual(ids((await client.query(name, { query: [1, 0, 0], limit: 2 })).points), [1, 2]);
assert.deepEqual(ids((await client.query(name, { query: 1, limit: 1 })).points), [2]);
const batch = await client.queryBatch(name, { searches: [{ query: [1, 0, 0], limit: 1 }, { query: [0, 0, 1], limit: 1 }] });
assert.deepEqual(batch.map((one) => one.points[0].id), [1, 4]);
const grouped = await client.queryGroups(name, { query: [1, 0, 0], group_by: 'person', group_size: 1, limit: 2 });
assert.deepEqual(grouped.groups.map((group) => group.id), ['Ada', 'Bob']);
const page = await client.scroll(name, { limit: 3, with_vector: true });
assert.deepEqual(ids(page.points), [1, 2, 3]);
assert.equal(page.next_page_offset, 4);
await client.updateCollectionAliases({ actions: [{ create_alias: { collection_name: name, alias_name: 'js' } }] });
assert.equal((await client.getCollectionAliases(name)).aliases[0].alias_name, 'js');
assert.equal((await client.getAliases()).aliases.length, 1);
await client.updateCollectionAliases({ actions: [{ delete_alias: { alias_name: 'js' } }] });
await client.updateVectors(name, { wait: true, points: [{ id: 4, vector: [0, 1, 1] }] });
await client.delete(name, { wait: true, points: [1, 2] });
assert.equal((await client.count(name)).count, 2);
await refused(404, () => client.getCollection('nobody'));
await refused(400, () => client.query(name, { query: [1, 0], limit: 1 }));
await client.deleteCollection(name);
assert.deepEqual(said, [], 'the client warned');
console.log('js client: fine');
