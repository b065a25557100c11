//! Are two series of measurements alike? Effect sizes, not p-values: with enough samples any two series
//! of a real machine differ significantly, by nothing that anybody could use.

/// How often a value of `one` is greater than one of `other`, ties counting half: the area under the ROC
/// curve, U / (n m) of Mann and Whitney (1947). 0.5 where nothing tells them apart, 0 or 1 where everything
/// does.
pub fn auc(one: &[f64], other: &[f64]) -> f64 {
    let mut sum = 0.0;
    for a in one {
        for b in other {
            sum += match a.total_cmp(b) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
        }
    }
    sum / (one.len() * other.len()) as f64
}

/// The greatest distance between the two distributions (Kolmogorov and Smirnov), from 0 to 1: sees a
/// difference in spread too.
pub fn distance(one: &[f64], other: &[f64]) -> f64 {
    let below = |series: &[f64], limit: f64| {
        series.iter().filter(|value| **value <= limit).count() as f64 / series.len() as f64
    };
    let all = one.iter().chain(other);
    let gaps = all.map(|limit| (below(one, *limit) - below(other, *limit)).abs());
    gaps.fold(0.0, f64::max)
}

/// The value that `share` of the series is not above.
pub fn quantile(series: &[f64], share: f64) -> f64 {
    let mut sorted = series.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (sorted.len() as f64 * share).ceil() as usize;
    sorted[index.clamp(1, sorted.len()) - 1]
}

pub fn median(series: &[f64]) -> f64 {
    quantile(series, 0.5)
}

/// Numbers that look like measurements, the same at every run.
#[cfg(test)]
fn noise(seed: u64) -> Vec<f64> {
    let mut state = seed;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        50.0 + (state >> 40) as f64 / (1 << 24) as f64 * 8.0
    };
    std::iter::repeat_with(next).take(200).collect()
}

#[test]
fn the_measures_are_what_the_books_say() {
    assert_eq!(auc(&[1.0, 2.0], &[3.0, 4.0]), 0.0);
    assert_eq!(auc(&[3.0, 4.0], &[1.0, 2.0]), 1.0);
    assert_eq!(auc(&[1.0, 3.0], &[2.0, 2.0]), 0.5);
    assert_eq!(auc(&[1.0, 2.0], &[1.0, 2.0]), 0.5);
    assert_eq!(distance(&[1.0, 2.0], &[1.0, 2.0]), 0.0);
    assert_eq!(distance(&[1.0, 2.0], &[3.0, 4.0]), 1.0);
    assert_eq!(distance(&[1.0, 4.0], &[2.0, 3.0]), 0.5);
    let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
    assert_eq!((quantile(&hundred, 0.99), median(&hundred)), (99.0, 50.0));
}

#[test]
fn a_planted_difference_is_found_and_none_where_there_is_none() {
    let (one, other) = (noise(1), noise(2));
    assert!((auc(&one, &other) - 0.5).abs() < 0.1 && distance(&one, &other) < 0.2);
    let later: Vec<_> = other.iter().map(|value| value + 2.0).collect();
    assert!(auc(&later, &one) > 0.7);
    let wider: Vec<_> = other
        .iter()
        .map(|value| (value - 54.0) * 3.0 + 54.0)
        .collect();
    assert!(distance(&wider, &one) > 0.3);
}
