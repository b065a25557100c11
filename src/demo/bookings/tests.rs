//! The bookings over their routes.

use serde_json::{Value, json};

use super::super::exchange::{Exchange, exchange};
use super::*;

const TWO_SEATS: &str = r#"{"flight_id": 7, "seats": 2}"#;

async fn post(service: &Router, user: &str, body: &str) -> Exchange {
    exchange(service, "POST /api/v1/bookings", Some(user), body).await
}

async fn ids_of(service: &Router, user: &str) -> Vec<u64> {
    let answer = exchange(service, "GET /api/v1/bookings/", Some(user), "").await;
    let bookings = answer.body["bookings"].as_array().unwrap();
    bookings.iter().filter_map(|b| b["id"].as_u64()).collect()
}

#[tokio::test]
async fn a_booking_belongs_to_its_caller() {
    let service = router();
    let answer = post(&service, "ada", TWO_SEATS).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.headers["location"], "/api/v1/bookings/1");
    assert_eq!(answer.body["flight_id"], 7);
    assert_eq!(answer.body["user"], "ada");
    assert_eq!(answer.body["caller"]["user"], "ada");

    post(&service, "bob", TWO_SEATS).await;
    assert_eq!(ids_of(&service, "ada").await, [1]);
    assert_eq!(ids_of(&service, "bob").await, [2]);
    assert_eq!(ids_of(&service, "eve").await, [0; 0]);
}

#[tokio::test]
async fn someone_elses_booking_looks_like_none() {
    let service = router();
    post(&service, "ada", TWO_SEATS).await;
    let request = "GET /api/v1/bookings/1";
    let own = exchange(&service, request, Some("ada"), "").await;
    assert_eq!(own.status, StatusCode::OK);
    let others = exchange(&service, request, Some("bob"), "").await;
    assert_eq!(others.status, StatusCode::NOT_FOUND);
    let none = exchange(&service, "GET /api/v1/bookings/2", Some("bob"), "").await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn whom_the_gateway_did_not_name_gets_nothing() {
    let service = router();
    for request in [
        "GET /api/v1/bookings",
        "GET /api/v1/bookings/1",
        "POST /api/v1/bookings/",
    ] {
        let body = if request.starts_with("POST") {
            TWO_SEATS
        } else {
            ""
        };
        for user in [None, Some("")] {
            let answer = exchange(&service, request, user, body).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{request}");
        }
    }
}

#[tokio::test]
async fn a_wish_that_cannot_be_is_refused() {
    let cases = [
        json!({"flight_id": 0, "seats": 1}),
        json!({"flight_id": 7, "seats": 0}),
        json!({"flight_id": 7, "seats": 10}),
        json!({"flight_id": 7, "seats": 300}),
        json!({"flight_id": 7}),
        json!({"flight_id": 7, "seats": 1, "user": "bob"}),
        Value::Null,
    ];
    let service = router();
    for body in cases {
        let answer = post(&service, "ada", &body.to_string()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert!(answer.body["error"].is_string(), "{body}");
    }
}

#[tokio::test]
async fn the_oldest_bookings_are_forgotten_first() {
    let service = with_capacity(3);
    for _ in 0..5 {
        post(&service, "ada", TWO_SEATS).await;
    }
    assert_eq!(ids_of(&service, "ada").await, [3, 4, 5]);
}
