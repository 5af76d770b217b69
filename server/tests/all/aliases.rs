//! Other names for collections over HTTP.

use crate::common;

use common::Server;
use serde_json::{Value, json};

fn change(server: &Server, actions: &Value) -> common::Answer {
    server.post("/collections/aliases", &json!({"actions": actions}))
}

fn create(alias: &str, collection: &str) -> Value {
    json!({"create_alias": {"alias_name": alias, "collection_name": collection}})
}

fn delete(alias: &str) -> Value {
    json!({"delete_alias": {"alias_name": alias}})
}

fn listed(server: &Server, path: &str) -> Value {
    server.get(path).ok()["aliases"].clone()
}

#[test]
fn an_alias_stands_for_its_collection_everywhere_and_is_switched_in_one_step() {
    let mut server = Server::start();
    for (name, id) in [("one", 1), ("two", 2)] {
        server.with_vectors(name, 2, "Dot");
        let points = json!({"points": [{"id": id, "vector": [1.0, 1.0]}]});
        server
            .put(&format!("/collections/{name}/points"), &points)
            .ok();
    }
    assert_eq!(
        change(&server, &json!([create("prod", "one"), create("x", "two")])).ok(),
        true
    );
    let found = |server: &Server| {
        let query = json!({"query": [1.0, 1.0]});
        let answer = server.post("/collections/prod/points/query", &query).ok();
        answer["points"][0]["id"].clone()
    };
    assert_eq!(found(&server), 1);
    assert_eq!(server.get("/collections/prod/exists").ok()["exists"], true);
    assert_eq!(server.get("/collections/prod").ok()["points_count"], 1);
    let more = json!({"points": [{"id": 7, "vector": [0.5, 0.5]}]});
    server.put("/collections/prod/points", &more).ok();
    assert_eq!(server.get("/collections/one").ok()["points_count"], 2);
    let names = server.get("/collections").ok();
    assert_eq!(names["collections"].as_array().map(Vec::len), Some(2));
    change(&server, &json!([delete("prod"), create("prod", "two")])).ok();
    assert_eq!(found(&server), 2);
    server.restart();
    assert_eq!(found(&server), 2);
    let rename = json!([{"rename_alias": {"old_alias_name": "x", "new_alias_name": "y"}}]);
    change(&server, &rename).ok();
    let alias = |alias: &str| json!({"alias_name": alias, "collection_name": "two"});
    assert_eq!(
        listed(&server, "/aliases"),
        json!([alias("prod"), alias("y")])
    );
    assert_eq!(
        listed(&server, "/collections/two/aliases"),
        json!([alias("prod"), alias("y")])
    );
    assert_eq!(listed(&server, "/collections/one/aliases"), json!([]));
    assert_eq!(server.delete("/collections/two").ok(), true);
    assert_eq!(listed(&server, "/aliases"), json!([]));
    server.get("/collections/prod").refused(404);
}

#[test]
fn what_clashes_or_is_not_there_is_refused_and_nothing_of_the_list_is_done() {
    let server = Server::start();
    server.with_vectors("one", 2, "Dot");
    server.with_vectors("aliases", 2, "Dot");
    change(&server, &json!([create("prod", "one")])).ok();
    let refused = |last: Value, status: u16, word: &str| {
        let actions = json!([delete("prod"), create("new", "one"), last]);
        let message = change(&server, &actions).refused(status);
        assert!(message.contains(word), "{message}");
    };
    refused(create("a", "nowhere"), 404, "nowhere");
    refused(create("aliases", "one"), 409, "aliases");
    let rename = json!({"rename_alias": {"old_alias_name": "nobody", "new_alias_name": "b"}});
    refused(rename, 404, "nobody");
    refused(json!({"make_alias": {}}), 400, "item 2");
    refused(create("a b", "one"), 400, "a b");
    let expected = json!([{"alias_name": "prod", "collection_name": "one"}]);
    assert_eq!(listed(&server, "/aliases"), expected);
    let vectors = json!({"vectors": {"size": 2, "distance": "Dot"}});
    let message = server.put("/collections/prod", &vectors).refused(409);
    assert!(message.contains("alias"), "{message}");
    assert!(
        server
            .delete("/collections/prod")
            .refused(400)
            .contains("`one`")
    );
    server
        .post("/collections/one", &json!({"actions": []}))
        .refused(405);
    assert_eq!(server.get("/collections/aliases").ok()["points_count"], 0);
}
