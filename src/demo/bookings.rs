//! The bookings service: each caller's own seats, and nobody else's.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::answer::{Answer, Problem, body, with_basics};
use super::caller::Caller;

/// The service, without bookings yet.
pub fn router() -> Router {
    with_capacity(MAX_BOOKINGS)
}

fn with_capacity(capacity: usize) -> Router {
    let ledger = Ledger(Arc::new(Mutex::new(Bookings {
        capacity,
        made: 0,
        kept: VecDeque::new(),
    })));
    let collection = get(own).post(book);
    with_basics(
        Router::new()
            .route("/api/v1/bookings", collection.clone())
            .route("/api/v1/bookings/", collection)
            .route("/api/v1/bookings/{id}", get(one))
            .with_state(ledger),
    )
}

#[derive(Clone)]
struct Ledger(Arc<Mutex<Bookings>>);

/// The last `capacity` bookings, oldest first.
struct Bookings {
    capacity: usize,
    made: u64,
    kept: VecDeque<Booking>,
}

#[derive(Debug, Clone, Serialize)]
struct Booking {
    id: u64,
    /// The id of the user whose booking it is.
    user: String,
    #[serde(flatten)]
    wish: Wish,
}

/// What a caller asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    flight_id: u64,
    seats: u8,
}

#[derive(Serialize)]
struct Found {
    bookings: Vec<Booking>,
}

impl Ledger {
    // What a panicking request left behind is still a list of whole bookings.
    fn lock(&self) -> MutexGuard<'_, Bookings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bookings {
    /// Adds one, and forgets the oldest where there are too many.
    fn add(&mut self, user: &str, wish: Wish) -> Booking {
        self.made += 1;
        let booking = Booking {
            id: self.made,
            user: user.to_owned(),
            wish,
        };
        self.kept.push_back(booking.clone());
        if self.kept.len() > self.capacity {
            self.kept.pop_front();
        }
        booking
    }
}

impl Wish {
    fn check(&self) -> Result<(), Problem> {
        if self.flight_id == 0 {
            return Err(Problem::invalid("`flight_id` is a flight's id, 1 or more"));
        }
        if !(1..=9).contains(&self.seats) {
            return Err(Problem::invalid("`seats` is 1 to 9"));
        }
        Ok(())
    }
}

async fn book(
    State(ledger): State<Ledger>,
    headers: HeaderMap,
    wish: Result<Json<Wish>, JsonRejection>,
) -> Result<impl IntoResponse, Problem> {
    let caller = required_caller(&headers)?;
    let wish = body(wish)?;
    wish.check()?;
    let booking = ledger.lock().add(&caller.user, wish);
    let location = format!("/api/v1/bookings/{}", booking.id);
    let answer = Json(Answer {
        content: booking,
        caller: Some(caller),
    });
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], answer))
}

async fn own(
    State(ledger): State<Ledger>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let caller = required_caller(&headers)?;
    let ledger = ledger.lock();
    let own = ledger.kept.iter().filter(|kept| kept.user == caller.user);
    let bookings = own.cloned().collect();
    Ok(Json(Answer {
        content: Found { bookings },
        caller: Some(caller),
    }))
}

/// Someone else's booking is answered as one that does not exist: ids can be guessed.
async fn one(
    State(ledger): State<Ledger>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let caller = required_caller(&headers)?;
    let ledger = ledger.lock();
    let mut own = ledger.kept.iter().filter(|kept| kept.user == caller.user);
    let booking = own.find(|kept| kept.id.to_string() == id).cloned();
    let content = booking.ok_or_else(|| Problem::not_found(format!("you have no booking {id}")))?;
    Ok(Json(Answer {
        content,
        caller: Some(caller),
    }))
}

/// A booking belongs to someone, so a request that did not come through the gateway is refused.
fn required_caller(headers: &HeaderMap) -> Result<Caller, Problem> {
    let why = "nobody is named in X-Auth-User: call through the gateway";
    Caller::of(headers).ok_or_else(|| Problem(StatusCode::UNAUTHORIZED, why.into()))
}

/// A demo keeps all in memory: this bounds it.
const MAX_BOOKINGS: usize = 10_000;

#[cfg(test)]
mod tests;
