// CompreFace's JavaScript client, unchanged, against a running server whose settings name a collection for it:
// `node compreface_client.mjs URL PHOTOS`, PHOTOS having a folder for each person; DOPPEL_API_KEY is the key of the
// server's settings. The client keeps adding to the address of an object that was asked once, so each question
// gets an object of its own.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { CompreFace } from '@exadel/compreface-js-sdk';

const [url, photos] = process.argv.slice(2);
const [, server, port] = url.match(/^(.*):(\d+)$/);
console.log = () => {};
process.chdir(photos);

async function key(service) {
  const scopes = ['search', 'read', 'write', 'delete', 'images', 'embeddings'];
  const made = await fetch(`${url}/admin/keys`, {
    method: 'POST',
    headers: { 'api-key': process.env.DOPPEL_API_KEY, 'content-type': 'application/json' },
    body: JSON.stringify({ name: service, scopes, compreface: service }),
  });
  return (await made.json()).result.secret;
}

async function refused(status, code, call) {
  await assert.rejects(call, (error) => {
    assert.equal(error.response.status, status);
    assert.equal(error.response.data.code, code);
    return true;
  });
}

const people = fs.readdirSync('.').sort().map((name) => {
  return [name, fs.readdirSync(name).sort().map((file) => `./${name}/${file}`)];
});
const [[ada, hers], [bob, his]] = people.filter(([, files]) => files.length >= 2);
const base64 = (file) => fs.readFileSync(file).toString('base64');

const client = new CompreFace(server, port);
const service = client.initFaceRecognitionService(await key('recognition'));
const subjects = () => service.getSubjects();
const collection = () => service.getFaceCollection();

assert.deepEqual(await subjects().list(), { subjects: [] });
assert.deepEqual(await subjects().add('one'), { subject: 'one' });
await refused(400, 43, () => subjects().add('ONE'));
assert.deepEqual(await subjects().rename('one', 'two'), { updated: true });
assert.deepEqual(await subjects().delete('two'), { subject: 'two' });
await refused(404, 42, () => subjects().delete('two'));

// Its second question mark is no part of the name.
const first = await collection().add(hers[0], ada, { det_prob_threshold: 0.8 });
assert.equal(first.subject, ada);
const second = await collection().add(base64(his[0]), bob, {});
assert.deepEqual(await subjects().list(), { subjects: [ada, bob] });
assert.equal((await collection().list()).total_elements, 2);

const asked = { limit: 1, prediction_count: 2, face_plugins: 'mask,landmarks', status: true };
const found = await service.recognize(hers[1], asked);
assert.deepEqual(found.result[0].subjects.map((one) => one.subject), [ada, bob]);
assert(found.result[0].subjects[0].similarity > 0.5 && found.result[0].subjects[1].similarity < 0.5);
assert.deepEqual(found.unsupported_plugins, ['mask']);
assert.equal(found.result[0].landmarks.length, 5);
const same = await collection().verify(hers[1], first.image_id, { det_prob_threshold: 0.8, status: true });
assert.equal(same.result[0].similarity, found.result[0].subjects[0].similarity);
assert(same.plugins_versions.detector);

const detection = client.initFaceDetectionService(await key('detection'));
assert.equal((await detection.detect(hers[0], { limit: 1 })).result.length, 1);
const verification = client.initFaceVerificationService(await key('verification'));
const compared = await verification.verify(hers[0], his[0], {});
assert(compared.result[0].face_matches[0].similarity < 0.5);
const nobody = client.initFaceDetectionService('11111111-2222-4333-8444-555555555555');
await refused(404, 10, () => nobody.detect(hers[0], {}));

assert.deepEqual(await collection().delete(first.image_id), first);
assert.deepEqual(await collection().delete_multiple_images([second.image_id]), [second]);
await collection().add(hers[0], ada, {});
assert.deepEqual(await collection().delete_all_subject(ada), { deleted: 1 });
await refused(400, 33, () => collection().delete_all());
await refused(403, 0, () => subjects().deleteAll());
assert.deepEqual(await subjects().delete(bob), { subject: bob });
process.stdout.write('compreface-js-sdk: fine\n');
