//! The fuzzers' properties, held against their seeds and what is a little unlike those: the fuzzers themselves are built
//! and run by `make fuzz`, and this keeps them from falling behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

#[path = "../../fuzz/properties/mod.rs"]
mod all;

#[test]
fn every_property_has_a_fuzzer_and_seeds() {
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    let manifest: BTreeSet<&str> = manifest.split('\n').collect();
    let named: BTreeSet<String> = all::ALL
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    for name in &named {
        let fuzzer = fs::read_to_string(folder().join(format!("fuzz_targets/{name}.rs")));
        assert!(
            fuzzer
                .unwrap()
                .contains(&format!("check(\"{name}\", bytes)"))
        );
        assert!(
            manifest.contains(&*format!("name = \"{name}\"")),
            "{name} is not built"
        );
        assert!(seeds(name).len() >= 3, "{name} has few seeds");
    }
    let kept: BTreeSet<String> = names_in(&folder().join("seeds"));
    assert_eq!(named, kept, "seeds that nothing reads");
}

#[test]
fn the_seeds_and_what_is_like_them_hold_to_the_properties() {
    for (name, _) in all::ALL {
        for (file, seed) in seeds(name) {
            let mut random = StdRng::seed_from_u64(seed.len() as u64);
            let held = std::panic::catch_unwind(|| all::check(name, &seed));
            assert!(held.is_ok(), "{}", file.display());
            for _ in 0..VARIANTS {
                let other = unlike(&seed, &mut random);
                let held = std::panic::catch_unwind(|| all::check(name, &other));
                assert!(held.is_ok(), "{name}: {}", other.escape_ascii());
            }
        }
    }
}

/// The same bytes with some changed, left out, put in or said twice.
fn unlike(seed: &[u8], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..=bytes.len());
        let end = random.random_range(at..=bytes.len().min(at + 8));
        match random.random_range(0..4) {
            0 => drop(bytes.drain(at..end)),
            1 => bytes.insert(at, TELLING[random.random_range(0..TELLING.len())]),
            2 => bytes
                .get_mut(at)
                .into_iter()
                .for_each(|byte| *byte ^= 1 << random.random_range(0..8)),
            _ => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
        }
    }
    bytes
}

fn seeds(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = folder().join("seeds").join(name);
    let read = |file: String| {
        let file = folder.join(file);
        let bytes = fs::read(&file).expect("a seed can be read");
        (file, bytes)
    };
    names_in(&folder).into_iter().map(read).collect()
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// What some reader or other takes for a sign.
const TELLING: &[u8] = b"%/.;:\\ \n,\"{}[]\0\xff0a";
/// Of each seed; the fuzzers make millions.
const VARIANTS: usize = 40;
