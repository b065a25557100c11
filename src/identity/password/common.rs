//! The passwords that everybody tries first.

/// Is this lower-case text on the list?
pub(super) fn is_common(lower: &str) -> bool {
    LIST.lines().any(|common| common == lower)
}

/// One a line, lower-case, sorted, none below the least `min_length`.
const LIST: &str = include_str!("common.txt");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_holds_nothing_that_another_rule_refuses() {
        let lines: Vec<_> = LIST.lines().collect();
        assert!(lines.len() >= 200, "{}", lines.len());
        assert!(lines.is_sorted_by(|one, other| one < other));
        for line in lines {
            assert!(
                line.chars().count() >= 8 && line == line.to_lowercase(),
                "{line}"
            );
        }
    }
}
