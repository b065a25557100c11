//! Tokens that are ended before their time: by session, or by a user's version (rule 8). Read without a
//! lock at every verification, so that ending one takes effect at the next request.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

/// Why tokens are no longer good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// All tokens of one sign-in.
    Session(String),
    /// A user's tokens with a lower version.
    Below { user: String, version: u64 },
}

/// A revocation and when it was made, in unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    pub revocation: Revocation,
    pub at: u64,
}

/// What is revoked now; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Revocations {
    current: Arc<ArcSwap<Snapshot>>,
}

#[derive(Debug, Default)]
struct Snapshot {
    /// When each session was ended.
    sessions: HashMap<Box<str>, u64, foldhash::fast::RandomState>,
    /// The lowest version that is still good, and when it was set.
    users: HashMap<Box<str>, (u64, u64), foldhash::fast::RandomState>,
}

impl Revocations {
    /// Is a token with these claims ended?
    pub fn end(&self, user: &str, version: u64, session: &str) -> bool {
        let current = self.current.load();
        current.sessions.contains_key(session)
            || current
                .users
                .get(user)
                .is_some_and(|(lowest, _)| version < *lowest)
    }

    /// The same for a token that another program made: where it does not say a version, the time at which
    /// it was made (unix seconds) tells whether it is from before; where it says no session, it has none.
    pub fn end_foreign(
        &self,
        user: &str,
        version: Option<u64>,
        session: Option<&str>,
        made_at: u64,
    ) -> bool {
        let current = self.current.load();
        let known = current.users.get(user);
        session.is_some_and(|session| current.sessions.contains_key(session))
            || known.is_some_and(|(lowest, at)| match version {
                Some(version) => version < *lowest,
                None => made_at.saturating_mul(1_000) <= *at,
            })
    }

    /// Adds what is new, and forgets what was made before `horizon`: no token from then is valid any more,
    /// so that the memory is bounded by what can be ended within one token's life.
    pub fn add(&self, new: &[Revoked], horizon: u64) {
        let stale = {
            let current = self.current.load();
            let old = |at: u64| at < horizon;
            current.sessions.values().any(|at| old(*at))
                || current.users.values().any(|(_, at)| old(*at))
        };
        if new.is_empty() && !stale {
            return;
        }
        self.current.rcu(|current| {
            let sessions = current.sessions.iter().filter(|(_, at)| **at >= horizon);
            let users = current.users.iter().filter(|(_, (_, at))| *at >= horizon);
            let mut next = Snapshot {
                sessions: sessions.map(|(id, at)| (id.clone(), *at)).collect(),
                users: users.map(|(id, known)| (id.clone(), *known)).collect(),
            };
            for Revoked { revocation, at } in new {
                match revocation {
                    Revocation::Session(id) => {
                        next.sessions.insert(id.as_str().into(), *at);
                    }
                    Revocation::Below { user, version } => {
                        let known = next
                            .users
                            .entry(user.as_str().into())
                            .or_insert((*version, *at));
                        *known = (known.0.max(*version), known.1.max(*at));
                    }
                }
            }
            next
        });
    }

    /// How many sessions and users are remembered.
    pub fn len(&self) -> usize {
        let current = self.current.load();
        current.sessions.len() + current.users.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below(user: &str, version: u64, at: u64) -> Revoked {
        let user = user.to_owned();
        Revoked {
            revocation: Revocation::Below { user, version },
            at,
        }
    }

    fn session(id: &str, at: u64) -> Revoked {
        Revoked {
            revocation: Revocation::Session(id.to_owned()),
            at,
        }
    }

    #[test]
    fn rule_8_tokens_end_by_session_and_by_version() {
        let revoked = Revocations::default();
        let shared = revoked.clone();
        assert!(!revoked.end("ann", 0, "s1"));
        shared.add(&[below("ann", 2, 10), session("s2", 10)], 0);
        assert!(revoked.end("ann", 1, "s1"));
        assert!(!revoked.end("ann", 2, "s1"));
        assert!(revoked.end("bob", 9, "s2"));
        assert!(!revoked.end("bob", 0, "s1"));
    }

    #[test]
    fn rule_8_a_token_without_a_version_ends_by_its_time() {
        let revoked = Revocations::default();
        revoked.add(&[below("ann", 2, 10_500), session("s2", 10_500)], 0);
        assert!(revoked.end_foreign("ann", None, None, 10));
        assert!(!revoked.end_foreign("ann", None, None, 11));
        assert!(revoked.end_foreign("ann", Some(1), None, 11));
        assert!(!revoked.end_foreign("ann", Some(2), None, 10));
        assert!(revoked.end_foreign("bob", None, Some("s2"), 11));
        assert!(!revoked.end_foreign("bob", None, None, 10));
    }

    #[test]
    fn a_lower_version_never_takes_back_a_higher_one() {
        let revoked = Revocations::default();
        revoked.add(&[below("ann", 5, 20)], 0);
        revoked.add(&[below("ann", 3, 10)], 0);
        assert!(revoked.end("ann", 4, "s"));
    }

    #[test]
    fn what_no_valid_token_can_meet_is_forgotten() {
        let revoked = Revocations::default();
        revoked.add(&[below("ann", 1, 10), session("s", 20)], 0);
        revoked.add(&[], 15);
        assert_eq!(revoked.len(), 1);
        assert!(revoked.end("any", 0, "s") && !revoked.end("ann", 0, "t"));
        revoked.add(&[], 21);
        assert!(revoked.is_empty());
    }
}
