//! Numbers with bounds.

use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use super::{Decode, whole_number};
use crate::base::report::{Code, Problem, Report};
use crate::base::yaml::{At, Node};

/// A whole number between two bounds, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within<const LOW: u32, const HIGH: u32>(pub u32);

impl<const LOW: u32, const HIGH: u32> Decode for Within<LOW, HIGH> {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let number = u32::decode(node, report)?;
        if (LOW..=HIGH).contains(&number) {
            return Some(Self(number));
        }
        let message = format!("{number} is out of range: {LOW} to {HIGH}");
        report.push(Problem::error(Code::InvalidValue, node.place, message));
        None
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        whole_number(LOW.into(), HIGH.into())
    }

    fn show(&self) -> Value {
        self.0.into()
    }
}
