// Many people: paged through and found by the server; faces given names, taken out of searches.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fill, people, photoOf } from "./stage.mjs";
import { at, cards, named, serious, server, told } from "./suite.mjs";

const MANY = 10_100;

/** While a collection is filled nothing is read, and a connection that the server has closed by then is known to be so at its next use. */
const again = (asks) => asks().catch(asks);

const send = async (method, path, body) => {
  const response = await again(() => fetch(`${server.url}${path}`, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) }));
  assert.equal(response.status, 200, await response.text());
};

test("of more than ten thousand people every one is paged to and found by name", async () => {
  await send("PUT", "/collections/crowd", { vectors: { size: 2, distance: "Dot" } });
  await send("PUT", "/collections/crowd/index?wait=true", { field_name: "person", field_schema: "keyword" });
  const name = (id) => `Person_${String(id).padStart(5, "0")}`;
  const points = Array.from({ length: MANY }, (_, id) => ({ id, vector: [1, id], payload: { person: name(id) } }));
  for (let from = 0; from < MANY; from += 2500) await send("PUT", "/collections/crowd/points?wait=true", { points: points.slice(from, from + 2500) });
  const page = await at("#/collections/crowd");
  const first = page.locator("#people .name").first();
  await first.waitFor();
  assert.equal(await page.locator("#people .card").count(), 24);
  await page.locator("button", { hasText: "Next" }).click();
  await page.locator("#people .name", { hasText: "Person 00024" }).waitFor();
  await page.locator(".row p", { hasText: "Page 2" }).waitFor();
  await page.locator("button", { hasText: "Previous" }).click();
  await page.locator("#people .name", { hasText: "Person 00000" }).waitFor();
  await page.fill("#find", `person ${MANY - 1}`);
  await page.locator("#people .name", { hasText: `Person ${MANY - 1}` }).waitFor();
  assert.equal(await page.locator("#people .card").count(), 1);
  await page.fill("#find", "nobody at all");
  await page.locator(".row p", { hasText: "Nobody by that name" }).waitFor();
  await send("DELETE", "/collections/crowd");
});

test("a face gets a name, and is nobody's again", async () => {
  fill(server.url, "faces");
  const [person, other] = people();
  const page = await at(`#/collections/faces/${encodeURIComponent(named(person))}`);
  const faces = page.locator("#faces .card");
  await faces.nth(2).waitFor();
  const name = async (text) => {
    await page.locator("#faces button", { hasText: "Who is it?" }).first().click();
    await page.fill("dialog input", text);
    await page.locator("dialog [type=submit]").click();
    await page.locator("dialog").waitFor({ state: "detached" });
  };
  await name("");
  assert.equal(await faces.count(), 2);
  await page.goto(`${server.url}/#/collections/faces`);
  await page.locator("a", { hasText: "Faces without a name" }).click();
  await faces.first().waitFor();
  assert.deepEqual(await serious(page), []);
  await name(named(other));
  await page.locator("p", { hasText: "No faces here" }).waitFor({ state: "attached" });
  const found = await told(`/collections/faces/people?limit=1&offset=${encodeURIComponent(named(other))}`);
  const before = await told(`/collections/celebs/people?limit=1&offset=${encodeURIComponent(named(other))}`);
  assert.equal(found.people[0].faces, before.people[0].faces + 1);
});

test("a person who is left out of searches is found no more, until they are taken in again", async () => {
  fill(server.url, "shy");
  const [person] = people();
  const page = await at(`#/collections/shy/${encodeURIComponent(named(person))}`);
  await page.locator("button", { hasText: "Leave out of searches" }).click();
  await page.locator("button", { hasText: "Take into searches again" }).waitFor();
  await page.goto(`${server.url}/#/collections/shy`);
  await page.locator("#people .card", { hasText: "left out of searches" }).waitFor();
  await page.goto(`${server.url}/#/`);
  await page.selectOption("#collection", "shy");
  await page.setInputFiles("#file", photoOf(person));
  await cards(page).nth(people().length - 2).waitFor();
  assert.equal(await page.locator("#cards .name", { hasText: named(person) }).count(), 0);
});

test("photos that were added are seen at once", async () => {
  fill(server.url, "grows");
  const [person, other] = people();
  const page = await at(`#/collections/grows/${encodeURIComponent(named(person))}`);
  const faces = page.locator("#faces .card");
  await faces.first().waitFor();
  const before = await faces.count();
  await page.setInputFiles("#add", photoOf(other));
  await faces.nth(before).waitFor();
});

test("a face whose data is edited is of whom they name, with all that is known of that person", async () => {
  fill(server.url, "edited");
  const [person, other] = people().map(named);
  await send("PATCH", "/collections/edited/people", { name: person, attributes: { born: 1815 } });
  const page = await at(`#/collections/edited/${encodeURIComponent(person)}`);
  const faces = page.locator("#faces .card");
  await faces.nth(2).waitFor();
  const edit = async (change) => {
    await page.locator("#faces button", { hasText: "Edit data" }).first().click();
    const data = JSON.parse(await page.inputValue("#payload"));
    assert.equal(data.about_person, undefined);
    await page.fill("#payload", JSON.stringify(change(data)));
    await page.locator("dialog button", { hasText: "Save" }).click();
    await page.locator("dialog").waitFor({ state: "detached" });
  };
  const known = async (name) => (await told(`/collections/edited/people?limit=1&offset=${encodeURIComponent(name)}`)).people[0];
  const before = await known(other);
  await edit((data) => ({ ...data, note: "x" }));
  assert.equal(await faces.count(), 3);
  assert.equal((await known(person)).faces, 3);
  await edit((data) => ({ ...data, person: other }));
  assert.equal(await faces.count(), 2);
  const after = await known(other);
  assert.equal(after.faces, before.faces + 1);
  assert.equal(after.id, undefined);
  assert.deepEqual((await known(person)).attributes, { born: 1815 });
});

test("who deletes a person is asked what becomes of the faces that are of others too", async () => {
  fill(server.url, "shared");
  const [person, other] = people().map(named);
  const count = async (name) => {
    const filter = { must: [{ key: "person", match: { value: name } }] };
    const response = await fetch(`${server.url}/collections/shared/points/count`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ filter }) });
    return (await response.json()).result.count;
  };
  // The page goes back to the people once the person is gone.
  const until = async (name, due) => {
    await page.waitForURL(/#\/collections\/shared$/);
    assert.equal(await count(name), due);
  };
  const page = await at(`#/collections/shared/${encodeURIComponent(person)}`);
  const faces = page.locator("#faces .card");
  await faces.nth(2).waitFor();
  const before = await count(other);
  const { points } = await (await fetch(`${server.url}/collections/shared/points/scroll`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ filter: { must: [{ key: "person", match: { value: person } }] }, limit: 1 }) })).json().then((it) => it.result);
  await send("POST", "/collections/shared/points/payload?wait=true", { points: [points[0].id], payload: { person: [person, other] } });
  assert.equal(await count(other), before + 1);
  const remove = () => page.locator("button", { hasText: "Delete this person" }).click();
  await remove();
  await page.locator("dialog p", { hasText: "One of the faces is of others too" }).waitFor();
  assert.deepEqual(await serious(page), []);
  await page.locator("dialog button", { hasText: "Cancel" }).click();
  await page.locator("dialog").waitFor({ state: "detached" });
  assert.equal(await faces.first().isVisible(), true);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Delete this person");
  await remove();
  await page.locator("dialog button", { hasText: "Keep those" }).click();
  await until(person, 1);
  assert.equal(await count(other), before + 1);
  await page.goto(`${server.url}/#/collections/shared/${encodeURIComponent(person)}`);
  await faces.first().waitFor();
  await remove();
  await page.locator("dialog button", { hasText: "Delete those too" }).click();
  await until(person, 0);
  assert.equal(await count(other), before);
  // Where nothing is shared nothing is asked, nor of a face that names the person twice.
  const own = await (await fetch(`${server.url}/collections/shared/points/scroll`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ filter: { must: [{ key: "person", match: { value: other } }] }, limit: 1 }) })).json();
  await send("POST", "/collections/shared/points/payload?wait=true", { points: [own.result.points[0].id], payload: { person: [other, other, null] } });
  await page.goto(`${server.url}/#/collections/shared/${encodeURIComponent(other)}`);
  await faces.first().waitFor();
  await remove();
  await until(other, 0);
});
