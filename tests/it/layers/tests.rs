//! The check of the architecture, on samples that it must object to and samples that it must not.

use super::*;

/// The layers that the sample, put in the place of the file `name`, wrongly refers to.
fn objections(name: &str, text: &str) -> Vec<String> {
    let references = references(&module_of(name), text);
    let objections = references.iter().filter_map(|to| objection(name, to));
    objections.collect()
}

#[test]
fn what_goes_up_or_sideways_is_found_in_every_form() {
    let cases = [
        ("src/base/path.rs", "use crate::route::Route;"),
        (
            "src/base/path.rs",
            "use crate::{base::id, route::{self, Route}};",
        ),
        ("src/base/path.rs", "use crate::route as way;"),
        ("src/base/path.rs", "pub use crate::route::*;"),
        ("src/base/path.rs", "use super::super::route::Route;"),
        ("src/base/mod.rs", "use super::route::Route;"),
        (
            "src/base/mod.rs",
            "mod tests { use super::super::route::Route; }",
        ),
        ("src/base/path.rs", "fn f(r: &crate::route::Route) {}"),
        ("src/base/path.rs", "fn f() { crate::route::find(); }"),
        (
            "src/base/path.rs",
            "fn f() { println!(\"{}\", crate::route::find()); }",
        ),
        (
            "src/base/path.rs",
            "macro_rules! m { () => { $crate::route::Route } }",
        ),
        ("src/route/trie.rs", "use crate::upstream::Cluster;"),
        ("src/route/trie.rs", "use crate::policy::Pipeline;"),
        ("src/token/mod.rs", "use crate::limit::Limit;"),
        ("src/config/mod.rs", "use crate::identity;"),
        (
            "src/config/mod.rs",
            "use crate::identity::service::Service;",
        ),
        ("src/identity/config.rs", "use super::service::Service;"),
        ("src/identity/service.rs", "use crate::route::Route;"),
        ("src/identity/service.rs", "use crate::plan::Plan;"),
        ("src/proxy/gateway.rs", "use crate::admin::Api;"),
        ("src/helpers/mod.rs", "use crate::base::id;"),
        ("src/base/id.rs", "use crate::helpers::hex;"),
    ];
    for (name, text) in cases {
        assert!(!objections(name, text).is_empty(), "{name}: {text}");
    }
}

#[test]
fn what_goes_down_or_stays_is_allowed() {
    let cases = [
        ("src/lib.rs", "pub mod base; use crate::cli::run;"),
        ("src/main.rs", "use airside::cli;"),
        (
            "src/route/trie.rs",
            "use crate::{base::path, token::Principal};",
        ),
        (
            "src/route/trie.rs",
            "use crate::route::host; use super::host::Host;",
        ),
        (
            "src/route/trie.rs",
            "mod tests { use super::*; use super::super::host; }",
        ),
        (
            "src/policy/auth.rs",
            "use crate::route::Route; use crate::token::Claims;",
        ),
        ("src/upstream/peer.rs", "use crate::tls::Trust;"),
        (
            "src/config/mod.rs",
            "use crate::identity::config as identity;",
        ),
        (
            "src/identity/service.rs",
            "use crate::identity::config::Config; use crate::token::Key;",
        ),
        ("src/identity/config.rs", "use crate::base::units::Span;"),
        (
            "src/plan/compile.rs",
            "use crate::config::Config; pub(crate) struct A;",
        ),
        ("src/base/path.rs", "use std::fmt; use http::route::Route;"),
        ("src/base/path.rs", "// use crate::route::Route;"),
        (
            "src/proxy/gateway.rs",
            "use crate::identity::config::Config;",
        ),
    ];
    for (name, text) in cases {
        assert_eq!(objections(name, text), [""; 0], "{name}: {text}");
    }
}

#[test]
fn an_objection_names_file_path_and_reason() {
    let found = objections("src/base/path.rs", "use crate::route::Route;");
    let expected = "src/base/path.rs: crate::route::Route: `route` is above `base`";
    assert_eq!(found, [expected]);
}

#[test]
fn a_file_is_the_module_of_its_place() {
    let cases = [
        ("src/lib.rs", ""),
        ("src/main.rs", ""),
        ("src/cli.rs", "cli"),
        ("src/cli/main.rs", "cli::main"),
        ("src/base/mod.rs", "base"),
        ("src/base/decode/table.rs", "base::decode::table"),
    ];
    for (name, module) in cases {
        assert_eq!(module_of(name).join("::"), module, "{name}");
    }
}

#[test]
fn a_long_or_silent_file_is_found() {
    let long = "//! All.\n".to_owned() + &"\n".repeat(MAX_LINES);
    assert_eq!(shape_objections("a.rs", &long).len(), 1);
    assert_eq!(shape_objections("a.rs", "fn main() {}\n").len(), 1);
    assert_eq!(shape_objections("a.rs", "\n//! Late.\n").len(), 1);
    let most = "//! All.\n".to_owned() + &"\n".repeat(MAX_LINES - 1);
    assert_eq!(shape_objections("a.rs", &most), [""; 0]);
    assert_eq!(shape_objections("a.rs", ""), [""; 0]);
}
