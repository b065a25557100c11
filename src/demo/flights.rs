//! The flights service: a timetable that anyone may search and that airlines add to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::answer::{Answer, Problem, body, with_basics};
use super::caller::Caller;

/// The service, with a dozen flights whose ids are 1 to 12.
pub fn router() -> Router {
    let timetable = Timetable(Arc::new(Mutex::new(seeds())));
    let collection = get(search).post(add);
    with_basics(
        Router::new()
            .route("/api/v1/flights", collection.clone())
            .route("/api/v1/flights/", collection)
            .route("/api/v1/flights/{id}", get(one))
            .with_state(timetable),
    )
}

/// Flights in the order of their ids, which count from 1 without gaps.
#[derive(Clone)]
struct Timetable(Arc<Mutex<Vec<Flight>>>);

#[derive(Debug, Clone, Serialize)]
struct Flight {
    id: usize,
    #[serde(flatten)]
    plan: FlightPlan,
}

/// A flight as an airline describes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FlightPlan {
    /// Airports by their three-letter code.
    from: String,
    to: String,
    /// `YYYY-MM-DD`, local to where it leaves.
    date: String,
    /// `HH:MM`, local too.
    departs: String,
    seats: u16,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    from: Option<String>,
    to: Option<String>,
    date: Option<String>,
}

#[derive(Serialize)]
struct Found {
    flights: Vec<Flight>,
}

impl Timetable {
    // What a panicking request left behind is still a list of whole flights.
    fn lock(&self) -> MutexGuard<'_, Vec<Flight>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Search {
    fn matches(&self, plan: &FlightPlan) -> bool {
        let fits = |wanted: &Option<String>, value: &String| {
            wanted
                .as_ref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(value))
        };
        fits(&self.from, &plan.from) && fits(&self.to, &plan.to) && fits(&self.date, &plan.date)
    }
}

impl FlightPlan {
    fn check(&self) -> Result<(), Problem> {
        let airport = |code: &str| code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase());
        if !airport(&self.from) || !airport(&self.to) {
            return Err(Problem::invalid(
                "`from` and `to` are airports, such as `LIS`",
            ));
        }
        if self.from == self.to {
            return Err(Problem::invalid("`from` and `to` are the same airport"));
        }
        if self.date.len() != 10 || self.date.parse::<jiff::civil::Date>().is_err() {
            return Err(Problem::invalid("`date` is a day, such as `2030-06-01`"));
        }
        if self.departs.len() != 5 || self.departs.parse::<jiff::civil::Time>().is_err() {
            return Err(Problem::invalid("`departs` is a time, such as `08:15`"));
        }
        if !(1..=900).contains(&self.seats) {
            return Err(Problem::invalid("`seats` is 1 to 900"));
        }
        Ok(())
    }
}

async fn search(
    State(timetable): State<Timetable>,
    headers: HeaderMap,
    query: Result<Query<Search>, QueryRejection>,
) -> Result<impl IntoResponse, Problem> {
    let Query(search) = query.map_err(|rejection| Problem::invalid(rejection.body_text()))?;
    let mut flights = timetable.lock().clone();
    flights.retain(|flight| search.matches(&flight.plan));
    Ok(Json(Answer {
        content: Found { flights },
        caller: Caller::of(&headers),
    }))
}

async fn one(
    State(timetable): State<Timetable>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let flight = id.parse::<usize>().ok().and_then(|id| {
        let flights = timetable.lock();
        flights.get(id.checked_sub(1)?).cloned()
    });
    let content = flight.ok_or_else(|| Problem::not_found(format!("there is no flight {id}")))?;
    Ok(Json(Answer {
        content,
        caller: Caller::of(&headers),
    }))
}

async fn add(
    State(timetable): State<Timetable>,
    headers: HeaderMap,
    plan: Result<Json<FlightPlan>, JsonRejection>,
) -> Result<impl IntoResponse, Problem> {
    let plan = body(plan)?;
    plan.check()?;
    let mut flights = timetable.lock();
    if flights.len() >= MAX_FLIGHTS {
        let why = "the timetable is full; start the demo again to empty it";
        return Err(Problem(StatusCode::INSUFFICIENT_STORAGE, why.into()));
    }
    let flight = Flight {
        id: flights.len() + 1,
        plan,
    };
    flights.push(flight.clone());
    let location = format!("/api/v1/flights/{}", flight.id);
    let answer = Json(Answer {
        content: flight,
        caller: Caller::of(&headers),
    });
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], answer))
}

fn seeds() -> Vec<Flight> {
    let flight = |(index, (from, to, date, departs, seats)): (usize, &Seed)| Flight {
        id: index + 1,
        plan: FlightPlan {
            from: (*from).into(),
            to: (*to).into(),
            date: (*date).into(),
            departs: (*departs).into(),
            seats: *seats,
        },
    };
    SEEDS.iter().enumerate().map(flight).collect()
}

/// A demo keeps all in memory: this bounds it.
const MAX_FLIGHTS: usize = 1_000;

type Seed = (&'static str, &'static str, &'static str, &'static str, u16);

const SEEDS: [Seed; 12] = [
    ("LIS", "BER", "2030-06-01", "07:05", 180),
    ("LIS", "BER", "2030-06-02", "18:40", 180),
    ("BER", "LIS", "2030-06-08", "06:30", 180),
    ("LIS", "CDG", "2030-06-01", "09:15", 144),
    ("CDG", "LIS", "2030-06-05", "20:10", 144),
    ("CDG", "JFK", "2030-06-02", "11:00", 310),
    ("JFK", "CDG", "2030-06-15", "19:25", 310),
    ("FRA", "NRT", "2030-06-03", "13:45", 290),
    ("NRT", "FRA", "2030-06-17", "10:20", 290),
    ("DEL", "BOM", "2030-06-01", "05:50", 186),
    ("BOM", "DEL", "2030-06-01", "21:35", 186),
    ("GRU", "LIS", "2030-06-09", "23:55", 270),
];

#[cfg(test)]
mod tests;
