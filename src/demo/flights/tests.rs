//! The timetable over its routes.

use serde_json::{Value, json};

use super::super::exchange::exchange;
use super::*;

fn ids(body: &Value) -> Vec<u64> {
    let flights = body["flights"].as_array().unwrap();
    flights.iter().filter_map(|f| f["id"].as_u64()).collect()
}

fn plan() -> Value {
    json!({"from": "OPO", "to": "LYS", "date": "2030-07-01", "departs": "10:30", "seats": 90})
}

#[tokio::test]
async fn a_search_finds_by_each_of_its_fields() {
    let service = router();
    let cases = [
        ("", (1..=12).collect()),
        ("/", (1..=12).collect()),
        ("?from=LIS", vec![1, 2, 4]),
        ("/?from=lis&to=BER", vec![1, 2]),
        ("/?from=LIS&to=BER&date=2030-06-02", vec![2]),
        ("?to=XXX", vec![]),
    ];
    for (query, expected) in cases {
        let request = format!("GET /api/v1/flights{query}");
        let answer = exchange(&service, &request, None, "").await;
        assert_eq!(answer.status, StatusCode::OK, "{query}");
        assert_eq!(ids(&answer.body), expected, "{query}");
        assert_eq!(answer.body.get("caller"), None);
    }
}

#[tokio::test]
async fn an_unknown_query_is_refused_rather_than_ignored() {
    let answer = exchange(&router(), "GET /api/v1/flights?form=LIS", None, "").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.body["error"].as_str().unwrap().contains("form"));
}

#[tokio::test]
async fn a_flight_is_found_by_its_id_only() {
    let service = router();
    let answer = exchange(&service, "GET /api/v1/flights/7", None, "").await;
    assert_eq!(answer.body["from"], "JFK");
    for id in ["0", "13", "-1", "seven", "99999999999999999999"] {
        let request = format!("GET /api/v1/flights/{id}");
        let answer = exchange(&service, &request, None, "").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{id}");
        assert!(answer.body["error"].is_string(), "{id}");
    }
}

#[tokio::test]
async fn an_added_flight_names_its_place_and_who_called() {
    let service = router();
    let body = plan().to_string();
    let answer = exchange(&service, "POST /api/v1/flights/", Some("u1"), &body).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.headers["location"], "/api/v1/flights/13");
    let caller = json!({
        "user": "u1", "email": "u1@example.com", "roles": ["customer", "flight_company"],
    });
    assert_eq!(answer.body["caller"], caller);
    let answer = exchange(&service, "GET /api/v1/flights/13", None, "").await;
    assert_eq!(answer.body["to"], "LYS");
}

#[tokio::test]
async fn a_flight_that_cannot_be_is_refused() {
    let service = router();
    let cases = [
        ("from", json!("Porto")),
        ("to", json!("OPO")),
        ("date", json!("2030-02-30")),
        ("date", json!("2030-07-01T10:30")),
        ("departs", json!("25:00")),
        ("seats", json!(0)),
        ("seats", json!(-1)),
        ("price", json!(1)),
    ];
    for (field, value) in cases {
        let mut body = plan();
        body[field] = value;
        let body = body.to_string();
        let answer = exchange(&service, "POST /api/v1/flights", Some("u1"), &body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert!(answer.body["error"].is_string(), "{body}");
    }
    let answer = exchange(&service, "POST /api/v1/flights", Some("u1"), "{").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_full_timetable_takes_no_more() {
    let service = router();
    let body = plan().to_string();
    for _ in SEEDS.len()..MAX_FLIGHTS {
        let answer = exchange(&service, "POST /api/v1/flights", None, &body).await;
        assert_eq!(answer.status, StatusCode::CREATED);
    }
    let answer = exchange(&service, "POST /api/v1/flights", None, &body).await;
    assert_eq!(answer.status, StatusCode::INSUFFICIENT_STORAGE);
}

#[tokio::test]
async fn every_answer_is_json() {
    let service = router();
    let cases = [
        ("GET /healthz", StatusCode::OK),
        ("GET /", StatusCode::NOT_FOUND),
        ("DELETE /api/v1/flights/1", StatusCode::METHOD_NOT_ALLOWED),
    ];
    for (request, status) in cases {
        let answer = exchange(&service, request, None, "").await;
        assert_eq!(answer.status, status, "{request}");
        assert!(answer.body.is_object(), "{request}");
    }
}
