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

const ada = { must: [{ key: 'person', match: { value: 'Ada' } }] };
await client.createPayloadIndex(name, { wait: true, field_name: 'person', field_schema: 'keyword' });
await client.createPayloadIndex(name, { wait: true, field_name: 'n', field_schema: { type: 'integer', lookup: true, range: true } });
assert.equal((await client.count(name, { filter: ada })).count, 2);
assert.deepEqual(ids((await client.query(name, { query: [0, 1, 0], filter: ada, limit: 5 })).points), [2, 1]);
assert.deepEqual((await client.facet(name, { key: 'person' })).hits, [{ value: 'Ada', count: 2 }, { value: 'Bob', count: 1 }]);
assert.deepEqual(ids((await client.query(name, { query: { order_by: 'n' }, limit: 5 })).points), [4]);
const ends = [{ query: [1, 0, 0], limit: 1 }, { query: [0, 1, 0], limit: 1 }];
assert.deepEqual(ids((await client.query(name, { query: { fusion: 'rrf' }, prefetch: ends, limit: 5 })).points), [1, 3]);
await client.setPayload(name, { wait: true, payload: { city: 'Rome' }, filter: ada });
await client.overwritePayload(name, { wait: true, payload: { person: 'Zoe' }, points: [3] });
await client.deletePayload(name, { wait: true, keys: ['city'], points: [1] });
const told = await client.retrieve(name, { ids: [1, 2, 3] });
assert.deepEqual(told.map((one) => one.payload), [{ person: 'Ada' }, { person: 'Ada', city: 'Rome' }, { person: 'Zoe' }]);
await client.clearPayload(name, { wait: true, points: [3] });
await client.batchUpdate(name, { wait: true, operations: [
  { upsert: { points: [{ id: 5, vector: [1, 1, 1] }] } },
  { set_payload: { payload: { n: 5 }, points: [5] } },
  { delete: { points: [5] } },
] });
await client.deletePayloadIndex(name, 'n', { wait: true });
assert.deepEqual(Object.keys((await client.getCollection(name)).payload_schema), ['person']);
const liked = { recommend: { positive: [1], negative: [3] } };
assert.deepEqual(ids((await client.query(name, { query: liked, limit: 1 })).points), [2]);
await client.createVectorName(name, 'text', { dense: { size: 2, distance: 'Dot' } });
await client.updateVectors(name, { wait: true, points: [{ id: 1, vector: { text: [1, 2] } }] });
assert.deepEqual(ids((await client.query(name, { query: [1, 1], using: 'text' })).points), [1]);
await client.deleteVectors(name, { wait: true, vector: ['text'], filter: ada });
assert.equal((await client.count(name, { filter: { must: [{ has_vector: 'text' }] } })).count, 0);
await client.deleteVectorName(name, 'text');
const snapshot = await client.createSnapshot(name);
assert.deepEqual((await client.listSnapshots(name)).map((one) => one.name), [snapshot.name]);
await client.recoverSnapshot(name, { location: snapshot.name });
await client.deleteSnapshot(name, snapshot.name);
const full = await client.createFullSnapshot();
assert((await client.listFullSnapshots()).some((one) => one.name === full.name));
await client.deleteFullSnapshot(full.name);
await refused(501, () => client.searchMatrixPairs(name, { sample: 2, limit: 1 }));
await refused(501, () => client.listShardKeys(name));

await client.delete(name, { wait: true, points: [1, 2] });
assert.equal((await client.count(name)).count, 2);
await refused(404, () => client.getCollection('nobody'));
await refused(400, () => client.query(name, { query: [1, 0], limit: 1 }));
await client.deleteCollection(name);
assert.deepEqual(said, [], 'the client warned');
console.log('js client: fine');
