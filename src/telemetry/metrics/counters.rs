//! Counters that many threads add to at once: one relaxed atomic addition each, no lock and no look-up.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Only ever rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// Rises and falls.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

/// How long something took, in buckets from 100 µs to two minutes.
#[derive(Debug, Default)]
pub struct Histogram {
    /// One more than there are bounds: the last is for what is longer than all.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum_micros: AtomicU64,
}

/// A counter for each HTTP status. A hundred come into being with the first of their class, so that an
/// unused route costs a few words.
#[derive(Debug, Default)]
pub struct Statuses {
    classes: [OnceLock<Box<[AtomicU64; 100]>>; 6],
}

/// A counter for each of a few fixed words, such as the reasons of refusals. Finding one compares a handful of
/// short texts.
#[derive(Debug)]
pub struct Words {
    known: [(OnceLock<&'static str>, AtomicU64); 48],
}

impl Words {
    pub fn count(&self, word: &'static str) {
        for (known, counter) in &self.known {
            // The first free place is the word's, unless another thread has just taken it for another.
            if *known.get_or_init(|| word) == word {
                counter.fetch_add(1, Relaxed);
                return;
            }
        }
    }

    /// The words that occurred, each with its count.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let known = self.known.iter();
        known.map_while(|(word, counter)| Some((*word.get()?, counter.load(Relaxed))))
    }
}

impl Counter {
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Gauge {
    pub fn add(&self, count: i64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub fn value(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

impl Histogram {
    pub fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let index = BOUNDS.partition_point(|bound| bound.micros < micros);
        if let Some(bucket) = self.buckets.get(index) {
            bucket.fetch_add(1, Relaxed);
        }
        self.sum_micros.fetch_add(micros, Relaxed);
    }

    /// Each bound as it is written, in seconds, with the count of what took that long or less; then the
    /// count of all.
    pub fn cumulative(&self) -> (impl Iterator<Item = (&'static str, u64)>, u64) {
        let counts: Vec<u64> = self
            .buckets
            .iter()
            .scan(0, |sum, bucket| {
                *sum += bucket.load(Relaxed);
                Some(*sum)
            })
            .collect();
        let all = counts.last().copied().unwrap_or_default();
        (BOUNDS.iter().map(|bound| bound.label).zip(counts), all)
    }

    /// The sum of all, in seconds.
    pub fn sum(&self) -> f64 {
        self.sum_micros.load(Relaxed) as f64 / 1e6
    }
}

impl Statuses {
    /// Counts an answer; 0 stands for a request that got none.
    pub fn count(&self, status: u16) {
        let (class, rest) = (usize::from(status / 100), usize::from(status % 100));
        // What is no status is counted as none.
        let (class, rest) = match class < self.classes.len() {
            true => (class, rest),
            false => (0, 0),
        };
        let counters = self.classes.get(class).map(|class| {
            class.get_or_init(|| Box::new(std::array::from_fn(|_| AtomicU64::new(0))))
        });
        if let Some(counter) = counters.and_then(|counters| counters.get(rest)) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// The statuses that occurred, each with its count.
    pub fn counts(&self) -> impl Iterator<Item = (u16, u64)> {
        let classes = self.classes.iter().enumerate();
        let known = classes.filter_map(|(class, counters)| Some((class, counters.get()?)));
        known.flat_map(|(class, counters)| {
            let counts = counters.iter().enumerate();
            counts.filter_map(move |(rest, counter)| {
                let count = counter.load(Relaxed);
                (count > 0).then_some(((class * 100 + rest) as u16, count))
            })
        })
    }
}

impl Default for Words {
    fn default() -> Self {
        Self {
            known: std::array::from_fn(|_| Default::default()),
        }
    }
}

struct Bound {
    micros: u64,
    /// In seconds.
    label: &'static str,
}

const fn bound(micros: u64, label: &'static str) -> Bound {
    Bound { micros, label }
}

const BOUNDS: [Bound; 19] = [
    bound(100, "0.0001"),
    bound(250, "0.00025"),
    bound(500, "0.0005"),
    bound(1_000, "0.001"),
    bound(2_500, "0.0025"),
    bound(5_000, "0.005"),
    bound(10_000, "0.01"),
    bound(25_000, "0.025"),
    bound(50_000, "0.05"),
    bound(100_000, "0.1"),
    bound(250_000, "0.25"),
    bound(500_000, "0.5"),
    bound(1_000_000, "1"),
    bound(2_500_000, "2.5"),
    bound(5_000_000, "5"),
    bound(10_000_000, "10"),
    bound(30_000_000, "30"),
    bound(60_000_000, "60"),
    bound(120_000_000, "120"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_in_each_bucket_that_is_not_below_it() {
        let histogram = Histogram::default();
        for micros in [0, 100, 101, 5_000, 200_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let (buckets, all) = histogram.cumulative();
        let buckets: Vec<_> = buckets.collect();
        assert_eq!(buckets[..2], [("0.0001", 2), ("0.00025", 3)]);
        assert_eq!(buckets[5], ("0.005", 4));
        assert_eq!((buckets[18], all), (("120", 4), 5));
        assert!((histogram.sum() - 200.005_201).abs() < 1e-9);
    }

    #[test]
    fn the_labels_are_the_bounds() {
        for bound in &BOUNDS {
            let seconds: f64 = bound.label.parse().unwrap();
            assert_eq!((seconds * 1e6).round() as u64, bound.micros);
        }
        assert!(BOUNDS.is_sorted_by_key(|bound| bound.micros));
    }

    #[test]
    fn each_word_has_one_counter_also_when_threads_race_for_it() {
        const WORDS: [&str; 4] = ["expired", "signature", "no_token", "issuer"];
        let words = Words::default();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let words = &words;
                scope.spawn(move || {
                    for turn in 0..1_000 {
                        words.count(WORDS[(turn + thread) % 4]);
                    }
                });
            }
        });
        let mut counts: Vec<_> = words.counts().collect();
        counts.sort();
        assert_eq!(
            counts,
            [
                ("expired", 1_000),
                ("issuer", 1_000),
                ("no_token", 1_000),
                ("signature", 1_000)
            ]
        );
    }

    #[test]
    fn statuses_are_counted_apart_and_what_is_none_as_none() {
        let statuses = Statuses::default();
        for status in [200, 200, 404, 0, 599, 600, 65_535] {
            statuses.count(status);
        }
        let counts: Vec<_> = statuses.counts().collect();
        assert_eq!(counts, [(0, 3), (200, 2), (404, 1), (599, 1)]);
    }
}
