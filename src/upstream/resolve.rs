//! Keeps the servers of an upstream that names stand for up to date, away from all requests. What DNS can't say, it
//! said before: the last answer holds until there is a new one.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::cluster::Cluster;
use super::members::Resolved;
use super::names::{Answer, Names};
use super::probe::jittered;

/// Asks for an upstream's names again and again, until it is dropped.
pub async fn watch(cluster: Arc<Cluster>, names: Arc<Names>) {
    let mut failing = HashSet::new();
    let mut pause = FIRST_PAUSE;
    loop {
        let round = ask(&cluster, &names).await;
        let ttl = adopt(&cluster, round, &mut failing);
        let usual = match cluster.settings.resolve {
            Some(every) => every,
            None => ttl.clamp(SHORTEST, LONGEST),
        };
        let wait = match failing.is_empty() {
            true => {
                pause = FIRST_PAUSE;
                usual
            }
            false => {
                let longer = (pause * 2).min(LONGEST_PAUSE);
                std::mem::replace(&mut pause, longer).min(usual)
            }
        };
        sleep(jittered(wait)).await;
    }
}

type Round = Vec<(String, Result<Answer, String>)>;

/// All names at once: one that is not answered holds no other up.
async fn ask(cluster: &Cluster, names: &Arc<Names>) -> Round {
    let wanted: HashSet<_> = cluster.settings.names().map(str::to_owned).collect();
    let mut asking = JoinSet::new();
    for name in wanted {
        let names = names.clone();
        asking.spawn(async move {
            let answer = names.find(&name).await;
            (name, answer)
        });
    }
    asking.join_all().await
}

/// Takes what was answered, and keeps what was known of the rest. Brings the shortest time that an answer holds.
fn adopt(cluster: &Cluster, round: Round, failing: &mut HashSet<String>) -> Duration {
    let mut known = cluster.resolved();
    let mut resolved = Resolved::new();
    let mut ttl = LONGEST;
    for (name, answer) in round {
        match answer {
            Ok(answer) => {
                ttl = ttl.min(answer.ttl);
                failing.remove(&name);
                resolved.insert(name, answer.addresses);
            }
            Err(why) => {
                let kept = known.remove(&name);
                // Once, not at every try.
                if failing.insert(name.clone()) {
                    let held = match &kept {
                        Some(_) => "its last addresses are kept",
                        None => "it has no server",
                    };
                    log::warn!(
                        "upstream {}: {name} not resolved, {held}: {why}",
                        cluster.name
                    );
                }
                resolved.extend(kept.map(|kept| (name, kept)));
            }
        }
    }
    let count: usize = resolved.values().map(Vec::len).sum();
    if cluster.resolve(resolved) {
        log::info!(
            "upstream {}: names stand for {count} addresses now",
            cluster.name
        );
    }
    ttl
}

/// Bounds of what DNS may say about when to ask again.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
/// After a failure: twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
