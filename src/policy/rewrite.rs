//! `rewrite`: the upstream's path, built from what the route's path captured.

use super::{Call, Keys, Names, Policy, Verdict};
use crate::base::report::{Code, Problem, Report};
use crate::base::template::Template;

#[derive(Debug)]
pub struct Rewrite(Template);

impl Policy for Rewrite {
    fn compile(keys: &Keys, names: &Names, report: &mut Report) -> Option<Self> {
        let rewrite = keys.rewrite.as_ref()?;
        if !rewrite.value.starts_with('/') || rewrite.value.contains(['?', '#', ' ']) {
            let message = format!(
                "`{}` is not a path: it begins with `/` and has no query",
                rewrite.value
            );
            report.push(Problem::error(Code::InvalidValue, rewrite.place, message));
            return None;
        }
        Template::compile(&rewrite.value, names.parameters)
            .map(Self)
            .map_err(|why| report.push(Problem::error(Code::UnknownName, rewrite.place, why)))
            .ok()
    }

    fn request(&self, call: &mut Call) -> Verdict {
        call.findings.path = Some(self.0.expand(call.path, call.captures));
        Verdict::Continue
    }
}
