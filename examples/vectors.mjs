// Vectors with the official JavaScript client: `node examples/vectors.mjs http://localhost:6333`.
import { QdrantClient } from '@qdrant/js-client-rest';

const client = new QdrantClient({ url: process.argv[2] ?? 'http://localhost:6333' });
await client.deleteCollection('fruit');
await client.createCollection('fruit', { vectors: { size: 3, distance: 'Cosine' } });
await client.upsert('fruit', {
  wait: true,
  points: [
    { id: 1, vector: [0.9, 0.1, 0.0], payload: { name: 'apple' } },
    { id: 2, vector: [0.8, 0.3, 0.1], payload: { name: 'pear' } },
    { id: 3, vector: [0.0, 0.2, 0.9], payload: { name: 'plum' } },
  ],
});
const { points } = await client.query('fruit', { query: [1, 0.1, 0], limit: 2, with_payload: true });
for (const hit of points) console.log(`${hit.payload.name}: ${hit.score.toFixed(3)}`);
if (points[0].payload.name !== 'apple') throw new Error('an apple was expected');
