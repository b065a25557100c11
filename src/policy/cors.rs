//! Cross-origin calls of browsers: the grammar; answering preflights is not built yet.

use std::time::Duration;

use crate::base::decode::{keys, mappings};
use crate::base::units::Word;
use crate::base::yaml::At;

keys! {
    /// The Fetch standard's CORS protocol for one route.
    pub struct Cors {
        /// Origins such as `https://app.example.com`, or `*`.
        pub origins: Vec<At<String>>,
        pub methods: Option<Vec<At<Word>>>,
        pub headers: Option<Vec<At<Word>>>,
        pub credentials: bool = false,
        pub max_age: Option<Duration>,
    }
}
mappings!(Cors);
