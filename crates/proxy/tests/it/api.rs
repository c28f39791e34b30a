//! Toxiproxy's tests of its API (`api_test.go`), and what its code says beyond them.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::lab::{Lab, is_up, own_host};

/// The toxic of that name in a list.
fn named<'a>(toxics: &'a Value, name: &str) -> Option<&'a Value> {
    toxics.as_array().unwrap().iter().find(|toxic| toxic["name"] == name)
}

async fn free_address() -> String {
    let listener = TcpListener::bind((own_host(), 0)).await.unwrap();
    listener.local_addr().unwrap().to_string()
}

async fn lab_with_proxy() -> Lab {
    let lab = Lab::start().await;
    lab.proxy("mysql_master", "localhost:20001").await;
    lab
}

const TOXICS: &str = "/proxies/mysql_master/toxics";

#[tokio::test]
async fn answers_have_a_request_id() {
    let lab = Lab::start().await;
    let answer = lab.get("/version").await;
    assert!(!answer.header("x-toxiproxy-request-id").is_empty());
}

#[tokio::test]
async fn browsers_get_403() {
    let lab = Lab::start().await;
    let agent = "Mozilla/5.0 (Linux; Android 4.4.2) AppleWebKit/537.36 (KHTML, like Gecko)";
    let answer = lab.send(Method::GET, "/proxies", agent, String::new()).await;
    assert_eq!((answer.status, answer.text.as_str()), (403, "User agent not allowed\n"));
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    let answer = lab.send(Method::GET, "/proxies", "Wget/2.1", String::new()).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn the_index_without_proxies_is_empty() {
    let lab = Lab::start().await;
    let answer = lab.get("/proxies").await;
    assert_eq!(
        (answer.expect(200), answer.header("content-type")),
        (json!({}), "application/json")
    );
}

#[tokio::test]
async fn a_proxy_needs_name_and_upstream() {
    let lab = Lab::start().await;
    let answer = lab.post("/proxies", json!({})).await;
    answer.expect_error(400, "missing required field: name");
    let answer = lab.post("/proxies", json!({"name": "test", "upstream": ""})).await;
    answer.expect_error(400, "missing required field: upstream");
}

#[tokio::test]
async fn bodies_that_are_no_json_are_refused() {
    let lab = Lab::start().await;
    let send = async |body: &str| lab.send(Method::POST, "/proxies", "test", body.to_owned()).await;
    send("").await.expect_error(400, "bad request body: EOF");
    send(r#"{"name""#).await.expect_error(400, "bad request body: unexpected EOF");
    let enabled = r#"{"name": "a", "upstream": "b", "enabled": "yes"}"#;
    assert!(send(enabled).await.text.contains("cannot unmarshal string into Go struct field"));
    let large = format!(r#"{{"name": "{}"}}"#, "x".repeat(2 << 20));
    assert_eq!(send(&large).await.status, 413);
}

#[tokio::test]
async fn populate_creates_proxies() {
    let lab = Lab::start().await;
    let body = json!([
        {"name": "one", "listen": "localhost:0", "upstream": "localhost:7171"},
        {"name": "two", "listen": "localhost:0", "upstream": "localhost:7474", "enabled": true},
        {"name": "off", "listen": "localhost:7070", "upstream": "localhost:7", "enabled": false},
    ]);
    let populated = lab.post("/populate", body).await.expect(201);
    let proxies = populated["proxies"].as_array().unwrap();
    let names: Vec<_> = proxies.iter().map(|proxy| proxy["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["one", "two", "off"]);
    assert!(populated.get("error").is_none());
    for proxy in &proxies[..2] {
        assert_eq!(proxy["enabled"], true);
        assert!(is_up(proxy["listen"].as_str().unwrap()).await);
    }
    assert_eq!(
        (&proxies[2]["enabled"], &proxies[2]["listen"]),
        (&json!(false), &json!("localhost:7070"))
    );
    // A toxic can be added to one of them.
    lab.post("/proxies/one/toxics", json!({"type": "latency"})).await.expect(200);
}

#[tokio::test]
async fn populate_keeps_what_is_the_same_and_replaces_what_is_not() {
    let lab = Lab::start().await;
    let body = json!({"name": "one", "listen": "localhost:0", "upstream": "localhost:7171"});
    let created = lab.post("/proxies", body).await.expect(201);
    let one = created["listen"].as_str().unwrap().to_owned();
    let two = lab.proxy("two", "localhost:7474").await;
    lab.post("/proxies/one/toxics", json!({"type": "latency"})).await.expect(200);
    lab.post("/proxies/two/toxics", json!({"type": "latency"})).await.expect(200);

    let same = one.replace("127.0.0.1", "localhost");
    let body = json!([
        {"name": "one", "listen": same, "upstream": "localhost:7171"},
        {"name": "two", "listen": two, "upstream": "localhost:7676"},
    ]);
    let populated = lab.post("/populate", body).await.expect(201);
    assert_eq!(populated["proxies"][0]["listen"], json!(one));
    assert_eq!(populated["proxies"][1]["upstream"], "localhost:7676");
    assert_eq!(lab.get("/proxies/one/toxics").await.expect(200).as_array().unwrap().len(), 1);
    assert_eq!(lab.get("/proxies/two/toxics").await.expect(200), json!([]));
    assert!(is_up(&one).await && is_up(&two).await);
}

#[tokio::test]
async fn populate_without_a_name_creates_nothing() {
    let lab = Lab::start().await;
    let body = json!([
        {"name": "one", "listen": "localhost:0", "upstream": "localhost:7171"},
        {"name": "", "listen": "", "enabled": true},
    ]);
    let answer = lab.post("/populate", body).await;
    let message = "missing required field: name at proxy 2";
    let expected = json!({"error": message, "status": 400, "proxies": null});
    assert_eq!((answer.expect(400), answer.header("content-type")), (expected, "application/json"));
    assert_eq!(lab.get("/proxies").await.expect(200), json!({}));
}

#[tokio::test]
async fn populate_ends_at_the_first_proxy_that_cannot_listen() {
    let lab = Lab::start().await;
    let body = json!([
        {"name": "one", "listen": "localhost:0", "upstream": "localhost:7171"},
        {"name": "two", "listen": "local373", "upstream": "localhost:7474"},
        {"name": "three", "listen": "localhost:0", "upstream": "localhost:7676"},
    ]);
    let populated = lab.post("/populate", body).await.expect(500);
    assert_eq!(populated["error"], "listen tcp: address local373: missing port in address");
    let proxies = lab.get("/proxies").await.expect(200);
    assert_eq!(proxies.as_object().unwrap().keys().collect::<Vec<_>>(), ["one"]);
}

#[tokio::test]
async fn a_created_proxy_is_listed_and_shown() {
    let lab = Lab::start().await;
    let body = json!({"name": "mysql_master", "listen": "localhost:0",
        "upstream": "localhost:20001"});
    let listen = lab.post("/proxies", body).await.expect(201)["listen"].clone();
    let listen = listen.as_str().unwrap();
    assert!(listen.starts_with("127.0.0.1:") && !listen.ends_with(":0"), "{listen}");
    let expected = json!({"name": "mysql_master", "listen": listen, "upstream": "localhost:20001",
        "enabled": true, "toxics": []});
    assert_eq!(lab.get("/proxies/mysql_master").await.expect(200), expected);
    assert_eq!(lab.get("/proxies").await.expect(200), json!({"mysql_master": expected}));
    assert!(is_up(listen).await);
}

#[tokio::test]
async fn a_disabled_proxy_can_be_enabled_and_disabled_again() {
    let lab = Lab::start().await;
    let address = free_address().await;
    // As it was given, until it runs.
    let listen = address.replace(':', ":0");
    let body = json!({"name": "a", "listen": listen, "upstream": "localhost:1", "enabled": false});
    let created = lab.post("/proxies", body).await.expect(201);
    assert_eq!((&created["listen"], &created["enabled"]), (&json!(listen), &json!(false)));
    assert!(!is_up(&address).await);

    // By POST, as older clients do it.
    let enabled = lab.post("/proxies/a", json!({"enabled": true})).await.expect(200);
    assert_eq!((&enabled["listen"], &enabled["enabled"]), (&json!(address), &json!(true)));
    assert!(is_up(&address).await);

    lab.patch("/proxies/a", json!({"enabled": false})).await.expect(200);
    assert!(!is_up(&address).await);
    assert_eq!(lab.get("/proxies/a").await.expect(200)["enabled"], false);
}

#[tokio::test]
async fn an_update_moves_the_proxy() {
    let lab = lab_with_proxy().await;
    let old = lab.get("/proxies/mysql_master").await.expect(200);
    let new = free_address().await;
    let body = json!({"listen": new, "upstream": "localhost:9"});
    let updated = lab.patch("/proxies/mysql_master", body).await.expect(200);
    assert_eq!((&updated["listen"], &updated["upstream"]), (&json!(new), &json!("localhost:9")));
    assert!(is_up(&new).await && !is_up(old["listen"].as_str().unwrap()).await);
    lab.patch("/proxies/walrus", json!({})).await.expect_error(404, "proxy not found");
}

#[tokio::test]
async fn a_deleted_proxy_is_gone() {
    let lab = Lab::start().await;
    let listen = lab.proxy("a", "localhost:1").await;
    assert!(is_up(&listen).await);
    let answer = lab.delete("/proxies/a").await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert!(!is_up(&listen).await);
    assert_eq!(lab.get("/proxies").await.expect(200), json!({}));
    lab.delete("/proxies/a").await.expect_error(404, "proxy not found");
    lab.get("/proxies/a").await.expect_error(404, "proxy not found");
}

#[tokio::test]
async fn a_taken_port_is_told_and_can_be_had_once_it_is_free() {
    let lab = Lab::start().await;
    let listen = lab.proxy("a", "localhost:1").await;
    let body = json!({"name": "b", "listen": listen, "upstream": "localhost:1"});
    let message = format!("listen tcp {listen}: bind: address already in use");
    lab.post("/proxies", body.clone()).await.expect_error(500, &message);
    assert_eq!(lab.delete("/proxies/a").await.status, 204);
    lab.post("/proxies", body).await.expect(201);
}

#[tokio::test]
async fn a_taken_name_is_told_and_can_be_had_once_it_is_free() {
    let lab = lab_with_proxy().await;
    let body = json!({"name": "mysql_master", "listen": "localhost:0", "upstream": "localhost:1"});
    lab.post("/proxies", body.clone()).await.expect_error(409, "proxy already exists");
    lab.delete("/proxies/mysql_master").await;
    lab.post("/proxies", body).await.expect(201);
}

#[tokio::test]
async fn reset_enables_all_proxies_and_removes_all_toxics() {
    let lab = lab_with_proxy().await;
    let body = json!({"type": "latency", "attributes": {"latency": 100, "jitter": 10}});
    lab.post(TOXICS, body).await.expect(200);
    lab.patch("/proxies/mysql_master", json!({"enabled": false})).await.expect(200);
    let answer = lab.post("/reset", json!({})).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    let proxy = lab.get("/proxies/mysql_master").await.expect(200);
    assert_eq!((&proxy["enabled"], &proxy["toxics"]), (&json!(true), &json!([])));
    assert!(is_up(proxy["listen"].as_str().unwrap()).await);
}

#[tokio::test]
async fn a_toxic_is_added_and_shown() {
    let lab = lab_with_proxy().await;
    assert_eq!(lab.get(TOXICS).await.expect(200), json!([]));
    let body = json!({"name": "foobar", "type": "latency", "stream": "downstream",
        "attributes": {"latency": 100, "jitter": 10}});
    let answer = lab.post(TOXICS, body).await;
    let expected = json!({"attributes": {"latency": 100, "jitter": 10}, "name": "foobar",
        "type": "latency", "stream": "downstream", "toxicity": 1});
    assert_eq!(answer.expect(200), expected);
    assert!(answer.text.ends_with(r#""toxicity":1}"#), "{}", answer.text);
    assert_eq!(lab.get(TOXICS).await.expect(200), json!([expected]));
    assert_eq!(lab.get(&format!("{TOXICS}/foobar")).await.expect(200), expected);
    lab.get(&format!("{TOXICS}/walrus")).await.expect_error(404, "toxic not found");
    lab.get("/proxies/walrus/toxics").await.expect_error(404, "proxy not found");
}

#[tokio::test]
async fn toxics_of_one_type_have_names_of_their_own() {
    let lab = lab_with_proxy().await;
    for name in ["latency1", "latency2"] {
        lab.post(TOXICS, json!({"name": name, "type": "latency"})).await.expect(200);
    }
    let toxics = lab.get(TOXICS).await.expect(200);
    let second = named(&toxics, "latency2").unwrap();
    assert_eq!(second["attributes"], json!({"latency": 0, "jitter": 0}));
    assert_eq!((&second["stream"], &second["toxicity"]), (&json!("downstream"), &json!(1)));
}

#[tokio::test]
async fn a_name_is_taken_in_both_streams() {
    let lab = lab_with_proxy().await;
    let first = json!({"name": "foobar", "type": "latency", "stream": "upstream"});
    lab.post(TOXICS, first).await.expect(200);
    for (kind, stream) in [("slow_close", "upstream"), ("latency", "downstream")] {
        let body = json!({"name": "foobar", "type": kind, "stream": stream});
        lab.post(TOXICS, body).await.expect_error(409, "toxic already exists");
    }
    let toxics = lab.get(TOXICS).await.expect(200);
    assert_eq!(toxics.as_array().unwrap().len(), 1);
    assert_eq!(named(&toxics, "foobar").unwrap()["type"], "latency");
}

#[tokio::test]
async fn default_names_are_type_and_stream_upstream_first() {
    let lab = lab_with_proxy().await;
    for stream in ["downstream", "upstream"] {
        lab.post(TOXICS, json!({"type": "latency", "stream": stream})).await.expect(200);
    }
    let toxics = lab.get(TOXICS).await.expect(200);
    let names: Vec<_> = toxics.as_array().unwrap().iter().map(|toxic| &toxic["name"]).collect();
    assert_eq!(names, ["latency_upstream", "latency_downstream"]);
}

#[tokio::test]
async fn toxicity_is_kept_and_noop_is_a_toxic() {
    let lab = lab_with_proxy().await;
    let body = json!({"type": "latency", "toxicity": 0.2, "attributes": {"latency": 100}});
    assert_eq!(lab.post(TOXICS, body).await.expect(200)["toxicity"], 0.2);
    let noop = lab.post(TOXICS, json!({"name": "foobar", "type": "noop"})).await.expect(200);
    let expected = json!({"attributes": {}, "name": "foobar", "type": "noop",
        "stream": "downstream", "toxicity": 1});
    assert_eq!(noop, expected);
}

#[tokio::test]
async fn an_update_of_a_toxic_changes_what_it_names() {
    let lab = lab_with_proxy().await;
    let body = json!({"type": "latency", "attributes": {"latency": 100, "jitter": 10}});
    lab.post(TOXICS, body).await.expect(200);
    let toxic = format!("{TOXICS}/latency_downstream");

    let body = json!({"toxicity": 0.5, "attributes": {"latency": 1000}});
    let updated = lab.post(&toxic, body).await.expect(200);
    assert_eq!(updated["attributes"], json!({"latency": 1000, "jitter": 10}));
    assert_eq!(updated["toxicity"], 0.5);

    let body = json!({"attributes": {"latency": 500}});
    let updated = lab.patch(&toxic, body).await.expect(200);
    assert_eq!(updated["attributes"], json!({"latency": 500, "jitter": 10}));
    assert_eq!(updated["toxicity"], 0.5);
    assert_eq!(lab.get(&toxic).await.expect(200), updated);

    let body = json!({"attributes": {"latency": "much"}});
    assert_eq!(lab.patch(&toxic, body).await.status, 400);
    let walrus = format!("{TOXICS}/walrus");
    lab.patch(&walrus, json!({})).await.expect_error(404, "toxic not found");
}

#[tokio::test]
async fn a_removed_toxic_is_gone() {
    let lab = lab_with_proxy().await;
    lab.post(TOXICS, json!({"type": "latency"})).await.expect(200);
    let toxic = format!("{TOXICS}/latency_downstream");
    let answer = lab.delete(&toxic).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert_eq!(lab.get(TOXICS).await.expect(200), json!([]));
    lab.delete(&toxic).await.expect_error(404, "toxic not found");
}

#[tokio::test]
async fn bad_toxics_are_refused() {
    let lab = lab_with_proxy().await;
    let message = "stream was invalid, can be either upstream or downstream";
    let body = json!({"type": "latency", "stream": "walrustream"});
    lab.post(TOXICS, body).await.expect_error(400, message);
    lab.post(TOXICS, json!({"type": "walrus"})).await.expect_error(400, "invalid toxic type");
    lab.post(TOXICS, json!({})).await.expect_error(400, "invalid toxic type");
    assert_eq!(lab.post("/proxies/walrus/toxics", json!({})).await.status, 404);
}

#[tokio::test]
async fn the_version_is_one_that_clients_understand() {
    let lab = Lab::start().await;
    let answer = lab.get("/version").await;
    assert_eq!(answer.header("content-type"), "application/json;charset=utf-8");
    let version = format!("{{\"version\": \"{}\"}}\n", proxy::api::VERSION);
    assert_eq!((answer.status, answer.text), (200, version));
}

#[tokio::test]
async fn other_routes_and_methods_answer_as_gos_router() {
    let lab = Lab::start().await;
    let answer = lab.get("/walrus").await;
    assert_eq!((answer.status, answer.text.as_str()), (404, "404 page not found\n"));
    let answer = lab.delete("/proxies").await;
    assert_eq!((answer.status, answer.text.as_str()), (405, ""));
}

#[tokio::test]
async fn there_are_bounds_that_are_told() {
    let lab = lab_with_proxy().await;
    for number in 0..64 {
        let body = json!({"name": number.to_string(), "type": "noop"});
        lab.post(TOXICS, body).await.expect(200);
    }
    let answer = lab.post(TOXICS, json!({"type": "noop"})).await;
    answer.expect_error(400, "too many toxics: at most 64; remove some first");
}

#[tokio::test]
async fn a_server_that_ends_ends_its_proxies() {
    let lab = Lab::start().await;
    let listen = lab.proxy("a", "localhost:1").await;
    assert!(is_up(&listen).await);
    lab.end().await;
    assert!(!is_up(&listen).await);
}
