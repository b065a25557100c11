//! A ring of points (ketama): a caller's number falls between two points, and the server of the next one serves it. A
//! server that goes takes its own points away, and no others move.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;
use pingora_ketama::{Bucket, Continuum};

use super::endpoint::Endpoint;

pub struct Ring {
    points: Continuum,
    indices: HashMap<SocketAddr, usize, FixedState>,
}

impl Ring {
    /// A server gets 160 points for each unit of its weight; weights above 50 are scaled down together.
    pub fn new(endpoints: &[Arc<Endpoint>]) -> Self {
        let heaviest = endpoints.iter().map(|endpoint| endpoint.weight).max();
        let scale = |weight: u32| match heaviest {
            Some(heaviest) if heaviest > HEAVIEST => (weight * HEAVIEST).div_ceil(heaviest).max(1),
            _ => weight.max(1),
        };
        let bucket =
            |endpoint: &Arc<Endpoint>| Bucket::new(endpoint.address, scale(endpoint.weight));
        let buckets: Vec<_> = endpoints.iter().map(bucket).collect();
        let indices = endpoints.iter().enumerate();
        Self {
            points: Continuum::new(&buckets),
            indices: indices
                .map(|(index, endpoint)| (endpoint.address, index))
                .collect(),
        }
    }

    /// The first server from the key on that `fits`, by its index.
    pub fn find(&self, key: u64, fits: impl Fn(usize) -> bool) -> Option<usize> {
        let mut last = None;
        self.points
            .node_iter(&key.to_le_bytes())
            .take(STEPS)
            .filter_map(|address| self.indices.get(address).copied())
            .filter(|index| last.replace(*index) != Some(*index))
            .find(|index| fits(*index))
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Ring")
            .field("servers", &self.indices.len())
            .finish()
    }
}

const HEAVIEST: u32 = 50;
/// Points that are looked at before a server is sought without the ring. With half of the servers out, one step in
/// two fails: so many never do.
const STEPS: usize = 512;

#[cfg(test)]
mod tests {
    use super::super::standing::Standing;
    use super::*;

    fn servers(weights: &[u32]) -> Vec<Arc<Endpoint>> {
        let server = |(index, weight): (usize, &u32)| {
            let address = SocketAddr::from(([10, 0, 0, 1 + index as u8], 80));
            Arc::new(Endpoint::new(
                address,
                None,
                *weight,
                Arc::new(Standing::default()),
            ))
        };
        weights.iter().enumerate().map(server).collect()
    }

    fn keys() -> impl Iterator<Item = u64> {
        (0..20_000u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    #[test]
    fn callers_divide_by_weight_within_a_fifth() {
        let ring = Ring::new(&servers(&[1, 1, 2, 1]));
        let mut counts = [0.0; 4];
        for key in keys() {
            counts[ring.find(key, |_| true).unwrap()] += 1.0 / 20_000.0;
        }
        for (share, expected) in counts.iter().zip([0.2, 0.2, 0.4, 0.2]) {
            let off: f64 = share / expected - 1.0;
            assert!(off.abs() < 0.2, "{share} for {expected}");
        }
    }

    #[test]
    fn a_server_that_goes_moves_its_own_callers_and_no_others() {
        let all = servers(&[1; 5]);
        let (five, four) = (Ring::new(&all), Ring::new(&all[..4]));
        let mut moved = 0;
        for key in keys() {
            let before = five.find(key, |_| true).unwrap();
            match before {
                4 => moved += 1,
                _ => assert_eq!(four.find(key, |_| true), Some(before)),
            }
        }
        // A fifth, with the tolerance of the ring.
        assert!((3_200..=4_800).contains(&moved), "{moved}");
    }

    #[test]
    fn a_server_that_is_out_hands_its_callers_to_the_next_and_gets_them_back() {
        let all = servers(&[1; 3]);
        let (ring, without) = (Ring::new(&all), Ring::new(&all[..2]));
        for key in keys() {
            let found = ring.find(key, |index| index != 2);
            assert_eq!(found, without.find(key, |_| true));
        }
        assert_eq!(ring.find(7, |_| false), None);
        assert_eq!(Ring::new(&[]).find(7, |_| true), None);
    }
}
